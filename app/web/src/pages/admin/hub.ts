/** Where terms are accepted and tokens made, also when files come from a mirror. */
const HUB = "https://huggingface.co";

export const hubPage = (hubId: string): string => `${HUB}/${hubId.split("/").map(encodeURIComponent).join("/")}`;
/** Id of the form that takes the hub's token. */
export const TOKEN_FORM = "jeton-hub";
export const TOKENS_PAGE = `${HUB}/settings/tokens`;

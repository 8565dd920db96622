/** Where terms are accepted and tokens made, also when files come from a mirror. */
const HUB = "https://huggingface.co";

export const hubPage = (hubId: string): string => `${HUB}/${hubId.split("/").map(encodeURIComponent).join("/")}`;
export const TOKENS_PAGE = `${HUB}/settings/tokens`;

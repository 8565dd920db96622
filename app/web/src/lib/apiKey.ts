/** Where this browser keeps the key with which it calls /v1. */
export const API_KEY_STORE = "frigo.apiKey";

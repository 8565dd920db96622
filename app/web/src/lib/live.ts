const EDITOR = "https://mermaid.live/edit#";

/**
 * The address of an editable copy at mermaid.live. The diagram is in the fragment, which the browser sends to nobody;
 * that site's own page reads it once it is opened.
 */
export async function liveUrl(mermaid: string): Promise<string> {
  const state = JSON.stringify({
    code: mermaid,
    mermaid: JSON.stringify({ theme: "default" }, null, 2),
    autoSync: true,
    updateDiagram: true,
  });
  const bytes = new TextEncoder().encode(state);
  if (typeof CompressionStream === "undefined") return `${EDITOR}base64:${urlSafe(bytes)}`;
  const packed = new Blob([bytes]).stream().pipeThrough(new CompressionStream("deflate"));
  return `${EDITOR}pako:${urlSafe(new Uint8Array(await new Response(packed).arrayBuffer()))}`;
}

/** Base64 in the alphabet of addresses, without its padding. */
export function urlSafe(bytes: Uint8Array): string {
  return base64(bytes).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

const BLOCK = 0x8000;

export function base64(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += BLOCK) text += String.fromCharCode(...bytes.subarray(at, at + BLOCK));
  return btoa(text);
}

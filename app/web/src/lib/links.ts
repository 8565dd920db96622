export interface Piece {
  text: string;
  /** The address, when this piece is one. */
  href?: string;
}

const ADDRESS = /https?:\/\/[^\s<>«»"'“”\u00a0]+/g;

/** A sentence cut where its addresses are; what ends the sentence or closes a parenthesis is not part of one. */
export function splitLinks(text: string): Piece[] {
  const pieces: Piece[] = [];
  let from = 0;
  for (const found of text.matchAll(ADDRESS)) {
    const href = found[0].replace(/[.,;:!?)\]]+$/, "");
    if (found.index > from) pieces.push({ text: text.slice(from, found.index) });
    pieces.push({ text: href, href });
    from = found.index + href.length;
  }
  if (from < text.length) pieces.push({ text: text.slice(from) });
  return pieces;
}

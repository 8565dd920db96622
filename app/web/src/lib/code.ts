/** Commands in a sentence of the server: « … ; `make run MOTEURS=nemo` l'ajoute. » */

export interface CodePiece {
  text: string;
  code: boolean;
}

/** Between backticks, or between quotation marks when it begins as a command does. */
const COMMAND = /`([^`\n]+)`|[«“]\s?(make [^»”\n]+?)\s?[»”]/g;

/** The sentence cut at its commands, which lose what stands around them. */
export function splitCode(text: string): CodePiece[] {
  const pieces: CodePiece[] = [];
  let from = 0;
  for (const found of text.matchAll(COMMAND)) {
    if (found.index > from) pieces.push({ text: text.slice(from, found.index), code: false });
    pieces.push({ text: found[1] ?? found[2] ?? "", code: true });
    from = found.index + found[0].length;
  }
  if (from < text.length) pieces.push({ text: text.slice(from), code: false });
  return pieces;
}

/** Commands in a sentence of the server: « … ; `make run MOTEURS=nemo` l'ajoute. » */

export interface CodePiece {
  text: string;
  code: boolean;
}

/** The sentence cut at what stands between backticks. */
export function splitCode(text: string): CodePiece[] {
  return text
    .split(/`([^`\n]+)`/)
    .map((piece, index) => ({ text: piece, code: index % 2 === 1 }))
    .filter((piece) => piece.text !== "");
}

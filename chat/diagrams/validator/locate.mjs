// Some refusals name no line: a second root, a negative slice, an unknown branch. Mermaid reads from the top, so the
// line is the last one of the shortest beginning of the text that is refused with the same words.

const LONGEST_MS = 3000; // a verdict without its line is better than none

/** The line (from 1) of a refusal, or null. `messageOf(text)` resolves to the words of a refusal, null if there is none. */
export async function lineOfRefusal(text, message, messageOf) {
  const lines = text.trimEnd().split(/\r\n?|\n/);
  const began = Date.now();
  const refused = async (count) => (await messageOf(lines.slice(0, count).join("\n") + "\n")) === message;
  if (!(await refused(lines.length))) return null;
  let accepted = 0; // as far as is known: a shorter beginning may be refused with other words
  let same = lines.length;
  while (same - accepted > 1) {
    if (Date.now() - began > LONGEST_MS) return null;
    const middle = (accepted + same) >> 1;
    if (await refused(middle)) same = middle;
    else accepted = middle;
  }
  return same;
}

// Mermaid removes front matter, directives and comments before it parses, so the line of its messages is a line of
// what is left. The same removals are done here with the line of each kept character, to name the line people see.

const FRONT_MATTER = /^([^\S\n\r]*)-{3}\s*[\n\r](.*?)[\n\r]\1-{3}\s*[\n\r]+/s;
const DIRECTIVE = /%{2}{\s*(?:(\w+)\s*:|(\w+))\s*(?:(\w+)|((?:(?!}%{2}).|\r?\n)*))?\s*(?:}%{2})?/gi;
const COMMENT = /^\s*%%(?!{)[^\n]+\n?/gm;
const LEADING_SPACE = /^\s+/; // last: Mermaid trims what is left

function remove(text, lines, pattern) {
  let kept = "";
  const keptLines = [];
  let last = 0;
  const all = pattern.global ? pattern : new RegExp(pattern.source, pattern.flags + "g");
  const keep = (from, to) => {
    kept += text.slice(from, to);
    for (let i = from; i < to; i++) keptLines.push(lines[i]);
  };
  for (const match of text.matchAll(all)) {
    keep(last, match.index);
    last = match.index + match[0].length;
    if (!pattern.global) break;
  }
  keep(last, text.length);
  return [kept, keptLines];
}

/** The line (from 1) in `source` of line `line` of what Mermaid parsed. */
export function originalLine(source, line) {
  let text = source.replace(/\r\n?/g, "\n");
  let number = 1;
  let lines = Array.from({ length: text.length }, (_, i) => (text[i] === "\n" ? number++ : number));
  for (const pattern of [FRONT_MATTER, DIRECTIVE, COMMENT, LEADING_SPACE]) {
    [text, lines] = remove(text, lines, pattern);
  }
  let current = 1;
  for (let i = 0; i < text.length; i++) {
    if (current === line) return lines[i];
    if (text[i] === "\n") current++;
  }
  return source.trimEnd().split(/\r\n?|\n/).length; // the end of the input is reported past the last line
}

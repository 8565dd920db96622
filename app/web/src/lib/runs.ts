const SHORT = 60;

/** What a tool was given or gave, for people: indented when it is no text; JSON in a text is read. */
export function readable(value: unknown): string {
  const found = parsed(value);
  if (found === null || found === undefined) return "";
  return typeof found === "string" ? found : JSON.stringify(found, null, 2);
}

/** The same in a few words: the only argument, or all of them. */
export function inOneLine(value: unknown): string {
  const found = parsed(value);
  if (found === null || found === undefined) return "";
  const values = typeof found === "object" && !Array.isArray(found) ? Object.values(found) : [found];
  const text = values
    .map((one) => (typeof one === "string" ? one : JSON.stringify(one)))
    .join(", ")
    .replace(/\s+/g, " ")
    .trim();
  return text.length > SHORT ? `${text.slice(0, SHORT - 1)}…` : text;
}

function parsed(value: unknown): unknown {
  if (typeof value !== "string" || !/^\s*[[{]/.test(value)) return value;
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}

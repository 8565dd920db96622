// The real Mermaid parser, kept warm: one JSON object a line on stdin, `{id, text}`, one a line on stdout,
// `{id, valid, kind, error?: {line, message}}`. The first line out is `{ready: true, version}`. It ends with its stdin.
// Nothing is rendered and no script of a diagram is run: jsdom only gives Mermaid the `document` it expects.

import { createInterface } from "node:readline";
import { JSDOM } from "jsdom";
import { originalLine } from "./lines.mjs";
import { lineOfRefusal } from "./locate.mjs";

const out = process.stdout;
const write = (answer) => out.write(JSON.stringify(answer) + "\n");
for (const name of ["log", "info", "warn", "error", "debug"]) console[name] = () => {};

const { window } = new JSDOM("<!DOCTYPE html><body></body>");
globalThis.window = window;
globalThis.document = window.document;
for (const name of ["Option", "Element", "HTMLElement", "Node", "DOMParser", "XMLSerializer"]) {
  globalThis[name] ??= window[name];
}

const { default: mermaid } = await import("mermaid");
mermaid.initialize({ startOnLoad: false, securityLevel: "strict", logLevel: "fatal" });

const LINE = /\bline:?\s+(\d+)/i;

/** Where the parser stopped: Jison gives a hash, Langium the tokens, the others words or nothing. */
function lineOf(error) {
  const found = LINE.exec(String(error?.message ?? ""));
  if (found) return Number(found[1]);
  const loc = error?.hash?.loc;
  if (loc?.first_line) return loc.first_line;
  if (typeof error?.hash?.line === "number") return error.hash.line + 1;
  return undefined;
}

function wordsOf(error) {
  return error instanceof Error ? error.message : String(error?.message ?? error?.str ?? error);
}

/** What is said of a text that is refused, null of one that is not. */
async function refusal(text) {
  try {
    await mermaid.parse(text);
    return null;
  } catch (error) {
    return wordsOf(error);
  }
}

/** The parser's own words, with the line people see, without stack or file names. */
function explain(error, text) {
  const raw = wordsOf(error);
  const parsed = lineOf(error);
  const line = parsed === undefined ? null : originalLine(text, parsed);
  const message = raw
    .replace(/(?:file:\/\/)?(?:\/[\w.@+-]+){2,}\/[\w.@+-]+\.m?js(?::\d+)*/g, "mermaid")
    .replace(/\n\s+at .*/g, "")
    .replace(/\b(line:?\s+)(\d+)/gi, (_, word, number) => word + originalLine(text, Number(number)))
    .slice(0, 2000)
    .trim();
  return { line, message };
}

function kindOf(text) {
  try {
    // detectType wants the text without front matter and comments; it removes them itself.
    return mermaid.detectType(text);
  } catch {
    return null;
  }
}

async function answer({ id, text }) {
  if (typeof text !== "string") {
    return { id, valid: false, kind: null, error: { line: null, message: "text must be a string" } };
  }
  try {
    const { diagramType } = await mermaid.parse(text);
    if (diagramType === "error") throw new Error("No diagram type detected for this text");
    return { id, valid: true, kind: diagramType };
  } catch (error) {
    const kind = kindOf(text);
    const problem = explain(error, text);
    if (kind !== null && kind !== "error") problem.line ??= await lineOfRefusal(text, wordsOf(error), refusal);
    return { id, valid: false, kind: kind === "error" ? null : kind, error: problem };
  }
}

// One at a time: Mermaid keeps the diagram being parsed in module state.
let queue = Promise.resolve();
createInterface({ input: process.stdin, crlfDelay: Infinity })
  .on("line", (line) => {
    queue = queue.then(async () => {
      let request;
      try {
        request = JSON.parse(line);
      } catch {
        request = { id: null };
      }
      write(await answer(request));
    });
  })
  .on("close", () => queue.then(() => process.exit(0)));

write({ ready: true, version: JSON.parse(await readVersion()).version });

async function readVersion() {
  const { readFile } = await import("node:fs/promises");
  return readFile(new URL("./node_modules/mermaid/package.json", import.meta.url), "utf8");
}

/** What is being drawn on the page of diagrams: its source, its versions, kept in the browser. Nothing here is React's. */

import { boardBody, boardFrom, EMPTY_BOARD, isEmptyBoard, type Board } from "./board";
import { readText, writeText } from "./storage";
import { DIAGRAM_KINDS, type Diagram, type DiagramKind } from "./types";

export const MAX_TEXT = 500_000;
const MAX_VERSIONS = 40;
const STORE = "frigo.diagrams";

export interface Version {
  id: string;
  /** The version that it was made from. */
  from: string | null;
  by: "draw" | "refine" | "hand";
  /** What was asked for, when it was refined. */
  said: string;
  made: number;
  diagram: Diagram;
  /** What the sources of its graph refer to. */
  source: string;
}

export type Input = "text" | "board" | "json";

export interface Work {
  input: Input;
  text: string;
  board: Board;
  json: string;
  /** Empty: left to the server. */
  kind: DiagramKind | "";
  direction: "TD" | "LR" | "";
  language: "fr" | "en" | "";
  model: string;
  versions: Version[];
  current: string | null;
  /** The Mermaid being written by hand. */
  draft: string | null;
}

export const NEW_WORK: Work = {
  input: "text",
  text: "",
  board: EMPTY_BOARD,
  json: "",
  kind: "",
  direction: "",
  language: "",
  model: "default",
  versions: [],
  current: null,
  draft: null,
};

export const KIND_CHOICES = ["", ...DIAGRAM_KINDS] as const;
const DIRECTED = new Set<string>(["", "flowchart", "class", "state", "er", "timeline"]);
export const hasDirection = (kind: string): boolean => DIRECTED.has(kind);

export const currentOf = (work: Work): Version | null =>
  work.versions.find(({ id }) => id === work.current) ?? null;

/** The work with a version more, which becomes the one that is shown; the oldest are dropped. */
export function withVersion(work: Work, version: Version): Work {
  return { ...work, versions: [...work.versions, version].slice(-MAX_VERSIONS), current: version.id, draft: null };
}

/** The version that this one was made from, while it is kept. */
export const before = (work: Work): Version | null => {
  const from = currentOf(work)?.from;
  return work.versions.find(({ id }) => id === from) ?? null;
};

/** The latest version made from this one. */
export const after = (work: Work): Version | null =>
  work.versions.findLast(({ from }) => from !== null && from === work.current) ?? null;

/** What is asked of /api/diagrams to draw the source; null when there is nothing to draw. */
export function askOf(work: Work): Record<string, unknown> | null {
  const source = sourceOf(work);
  if (!source) return null;
  return {
    ...source,
    ...(work.kind ? { kind: work.kind } : {}),
    ...(work.direction && hasDirection(work.kind) ? { direction: work.direction } : {}),
    ...(work.language ? { language: work.language } : {}),
    ...(work.model === "default" ? {} : { model: work.model }),
  };
}

function sourceOf(work: Work): { text: string } | { pvb: unknown } | null {
  if (work.input === "text") return work.text.trim() && pointsIn(work.text) <= MAX_TEXT ? { text: work.text } : null;
  if (work.input === "json") return work.json.trim() ? { pvb: work.json } : null;
  return isEmptyBoard(work.board) ? null : { pvb: boardBody(work.board) };
}

/** The work with a file's text as its source; null when this is no text. */
export function withFile(work: Work, name: string, content: string): Work | null {
  const text = content.replace(/^\ufeff/, "").replace(/\r\n?/g, "\n");
  if (text.includes("\0")) return null;
  if (!/\.json$/i.test(name)) return { ...work, input: "text", text };
  const board = boardFrom(text);
  return board ? { ...work, input: "board", board, json: text } : { ...work, input: "json", json: text };
}

/** Something in a drawing that comes from the text: from where to where, in UTF-16 units. */
export interface Origin {
  id?: string;
  label: string;
  start: number;
  end: number;
  /** 1: its very words; less when they were reworded. */
  score: number;
}

interface Sourced {
  id?: unknown;
  label?: unknown;
  source?: { start?: unknown; end?: unknown; score?: unknown } | null;
}

/** All that a graph of any kind says of where it comes from in `text`, in its order. */
export function originsOf(graph: unknown, text: string): Origin[] {
  const found: Origin[] = [];
  const at = unitsOf(text);
  const walk = (value: unknown): void => {
    if (Array.isArray(value)) value.forEach(walk);
    else if (value && typeof value === "object") {
      const { id, label, source } = value as Sourced;
      if (typeof label === "string" && source && typeof source.start === "number" && typeof source.end === "number") {
        found.push({
          ...(typeof id === "string" ? { id } : {}),
          label,
          start: at(source.start),
          end: at(source.end),
          score: typeof source.score === "number" ? source.score : 1,
        });
      }
      Object.values(value).forEach(walk);
    }
  };
  walk(graph);
  return found;
}

/** The place in `text`, in UTF-16 units as the browser counts, of what is at a Unicode code point. */
function unitsOf(text: string): (point: number) => number {
  if (!/[\ud800-\udbff]/.test(text)) return (point) => Math.min(point, text.length);
  const places: number[] = [];
  let unit = 0;
  for (const character of text) {
    places.push(unit);
    unit += character.length;
  }
  return (point) => places[point] ?? text.length;
}

/** Unicode code points, as the server counts. */
export const pointsIn = (text: string): number => (text.length <= MAX_TEXT ? text.length : [...text].length);

/** What is kept of a graph when its Mermaid was changed without a model: the nodes whose label is still there. */
export function carried(graph: Diagram["graph"], mermaid: string): Diagram["graph"] {
  const nodes = (graph?.nodes ?? []).filter(({ label }) => mermaid.includes(label));
  return nodes.length > 0 ? { nodes } : null;
}

/** Where line `line` (from 1) of a text begins and ends. */
export function lineSpan(text: string, line: number): { start: number; end: number } {
  const lines = text.split("\n");
  const index = Math.min(Math.max(line, 1), lines.length) - 1;
  const start = lines.slice(0, index).reduce((sum, each) => sum + each.length + 1, 0);
  return { start, end: start + (lines[index]?.length ?? 0) };
}

export function loadWork(): Work {
  try {
    const found = JSON.parse(readText(STORE) ?? "null") as Partial<Work> | null;
    if (!found || !Array.isArray(found.versions)) return NEW_WORK;
    const versions = found.versions.filter((each) => typeof each?.diagram?.mermaid === "string");
    return { ...NEW_WORK, ...found, versions, board: { ...EMPTY_BOARD, ...found.board } };
  } catch {
    return NEW_WORK;
  }
}

/** False when the browser has no room, even for the source and the version that is shown. */
export function saveWork(work: Work): boolean {
  if (work === NEW_WORK) return writeText(STORE, null);
  const current = currentOf(work);
  return (
    writeText(STORE, JSON.stringify(work)) ||
    writeText(STORE, JSON.stringify({ ...work, versions: current ? [current] : [] }))
  );
}

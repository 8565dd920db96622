/** A Product Vision Board: five sections that a form can hold, and what is read in a JSON of it. */

export const SECTIONS = ["target", "product", "features", "goals", "summary"] as const;
export type Section = (typeof SECTIONS)[number];
export type Board = Record<Section, string>;

/** The names that the server gives them in its messages. */
const NAMES: Record<Section, string> = {
  target: "1. Utilisateur Cible",
  product: "2. Description du Produit",
  features: "3. Fonctionnalités Clés",
  goals: "4. Enjeux et Indicateurs",
  summary: "Summary",
};
const HINTS: readonly [Section, RegExp][] = [
  ["target", /cible|target/],
  ["product", /produit|description|product/],
  ["features", /fonction|feature/],
  ["goals", /enjeu|indicateur|objectif|goal/],
  ["summary", /summary|resume|synthese/],
];

export const EMPTY_BOARD: Board = { target: "", product: "", features: "", goals: "", summary: "" };

const linesOf = (text: string): string[] =>
  text
    .split("\n")
    .map((line) => line.replace(/^\s*[-•*]\s+/, "").trim())
    .filter(Boolean);

export const isEmptyBoard = (board: Board): boolean => SECTIONS.every((section) => !board[section].trim());

/** What is sent: a line of the form is an item of its section; empty sections are left out. */
export function boardBody(board: Board): Record<string, string | string[]> {
  const filled = SECTIONS.filter((section) => linesOf(board[section]).length > 0);
  return Object.fromEntries(
    filled.map((section) => [
      NAMES[section],
      section === "summary" ? linesOf(board.summary).join(" ") : linesOf(board[section]),
    ]),
  );
}

function flat(value: unknown): string[] {
  if (typeof value === "string") return linesOf(value);
  if (typeof value === "number") return [String(value)];
  if (Array.isArray(value)) return value.flatMap(flat);
  if (value && typeof value === "object") return Object.values(value).flatMap(flat);
  return [];
}

/** The board in a JSON text, whole: null when it is none, or has a section that the form does not know. */
export function boardFrom(json: string): Board | null {
  let data: unknown;
  try {
    data = JSON.parse(json);
  } catch {
    return null;
  }
  if (!data || typeof data !== "object" || Array.isArray(data)) return null;
  const board = { ...EMPTY_BOARD };
  for (const [name, value] of Object.entries(data)) {
    const folded = name.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
    const section = HINTS.find(([, hint]) => hint.test(folded))?.[0];
    if (!section) return null;
    board[section] = [board[section], ...flat(value)].filter(Boolean).join("\n");
  }
  return isEmptyBoard(board) ? null : board;
}

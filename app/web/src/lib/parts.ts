import { nodeIdOf } from "./mermaid";

/** Something a drawing shows that leads somewhere: a node's id when the drawing tells it, else its label. */
export interface Spot {
  id?: string;
  label: string;
  /** What following it does, for who cannot see it. */
  title: string;
}

const LINES = 16;
const bare = (text: string): string => text.replace(/\s+/gu, "").toLowerCase();
const unbracketed = (text: string): string => /^\[(.*)\]$/su.exec(text)?.[1] ?? text;

/**
 * For each text of a drawing, in its order, which label it shows; -1 when none. Long labels are several texts: those in
 * the same `group`, one after the other. A label that is there twice is the first one first.
 */
export function matchTexts(texts: readonly { text: string; group: unknown }[], labels: readonly string[]): number[] {
  const found = texts.map(() => -1);
  const places = new Map<string, number[]>();
  labels.forEach((label, index) => {
    const key = bare(label);
    if (key) places.set(key, [...(places.get(key) ?? []), index]);
  });
  for (let from = 0; from < texts.length; from += 1) {
    let said = "";
    for (let to = from; to < Math.min(texts.length, from + LINES); to += 1) {
      if (texts[to]?.group !== texts[from]?.group) break;
      said += bare(texts[to]?.text ?? "");
      const at = places.get(said) ?? places.get(unbracketed(said));
      if (at) {
        const index = (at.length > 1 ? at.shift() : at[0]) ?? -1;
        found.fill(index, from, to + 1);
        from = to;
        break;
      }
    }
  }
  return found;
}

const WHOLE = /(^|\s)(node|timeline-node)(\s|$)/;
const TOO_MUCH = /(^|\s)(nodes|root|output)(\s|$)/;
const LEVELS = 4;

/** The shape around a text: as far out as there is nothing else in it. */
function shapeOf(text: Element): Element {
  // A journey's task is written twice, of which the page shows one.
  const twice = text.closest("switch")?.parentElement;
  if (twice) return twice;
  let shape = text;
  const said = bare(text.textContent ?? "");
  for (let level = 0; level < LEVELS; level += 1) {
    const outer = shape.parentElement;
    const name = outer?.getAttribute("class") ?? "";
    if (!outer || outer.tagName !== "g" || TOO_MUCH.test(name) || bare(outer.textContent ?? "") !== said) break;
    shape = outer;
    if (WHOLE.test(name)) break;
  }
  return shape;
}

/** The elements of a drawing that show `spots`, with the place of theirs in the list. */
export function partsOf(image: SVGSVGElement, spots: readonly Spot[]): Map<Element, number> {
  const parts = new Map<Element, number>();
  const byId = new Map(spots.map(({ id }, index) => [id, index]));
  for (const node of image.querySelectorAll("g.node")) {
    const index = byId.get(nodeIdOf(node.id) ?? "");
    if (index !== undefined) parts.set(node, index);
  }
  if (parts.size > 0) return parts;
  const texts = [...image.querySelectorAll("text")].map((element) => ({
    element,
    text: element.textContent ?? "",
    group: element.parentElement,
  }));
  const labels = spots.map(({ label }) => label);
  matchTexts(texts, labels).forEach((index, at) => {
    const text = texts[at];
    if (index >= 0 && text) parts.set(shapeOf(text.element), index);
  });
  return parts;
}

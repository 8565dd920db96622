import { describe, expect, it } from "vitest";
import { boardBody, boardFrom, EMPTY_BOARD } from "./board";
import { after, askOf, before, carried, lineSpan, NEW_WORK, originsOf, withFile, withVersion, type Version } from "./drawing";

const version = (id: string, from: string | null): Version => ({
  id,
  from,
  by: from ? "refine" : "draw",
  said: "",
  made: 0,
  diagram: { mermaid: `flowchart TD\n  ${id}`, valid: true },
  source: "",
});

describe("versions", () => {
  const first = withVersion(NEW_WORK, version("a", null));
  const second = withVersion(first, version("b", "a"));
  it("are undone towards what each was made from, and done again", () => {
    expect(before(first)).toBeNull();
    expect(before(second)?.id).toBe("a");
    const undone = { ...second, current: "a" };
    expect(after(undone)?.id).toBe("b");
    const other = withVersion(undone, version("c", "a"));
    expect([before(other)?.id, after(other)]).toEqual(["a", null]);
    expect(other.versions.map(({ id }) => id)).toEqual(["a", "b", "c"]);
  });
  it("are kept forty at most", () => {
    let work = NEW_WORK;
    for (let n = 0; n < 50; n += 1) work = withVersion(work, version(String(n), n ? String(n - 1) : null));
    expect([work.versions.length, work.versions[0]?.id, work.current]).toEqual([40, "10", "49"]);
    expect(before({ ...work, current: "10" })).toBeNull();
  });
});

describe("what is asked for", () => {
  it("is nothing without a source", () => {
    expect(askOf({ ...NEW_WORK, text: "  \n" })).toBeNull();
    expect(askOf({ ...NEW_WORK, input: "board" })).toBeNull();
    expect(askOf({ ...NEW_WORK, text: "é".repeat(500_001) })).toBeNull();
  });
  it("names only what was chosen, and no direction where there is none", () => {
    const work = { ...NEW_WORK, text: "A puis B", direction: "LR" as const };
    expect(askOf(work)).toEqual({ text: "A puis B", direction: "LR" });
    expect(askOf({ ...work, kind: "pie", model: "qwen", language: "fr" })).toEqual({
      text: "A puis B",
      kind: "pie",
      language: "fr",
      model: "qwen",
    });
  });
});

describe("a vision board", () => {
  const board = { ...EMPTY_BOARD, target: "- Lecteurs\n\n• Équipe", summary: "Prêter\nsans papier" };
  it("is sent section by section, a line an item", () => {
    expect(boardBody(board)).toEqual({
      "1. Utilisateur Cible": ["Lecteurs", "Équipe"],
      Summary: "Prêter sans papier",
    });
  });
  it("is read in a JSON whose sections are named about right", () => {
    const json = JSON.stringify({ "utilisateur CIBLE": ["Lecteurs"], "3. Fonctionnalités": { a: "Chercher" } });
    expect(boardFrom(json)).toEqual({ ...EMPTY_BOARD, target: "Lecteurs", features: "Chercher" });
    expect(boardFrom(JSON.stringify({ ...JSON.parse(json), Budget: 3 }))).toBeNull();
    for (const wrong of ["[]", "3", "{", "{}"]) expect(boardFrom(wrong)).toBeNull();
  });
});

describe("a file", () => {
  it("is a text, or a board when it is one", () => {
    expect(withFile(NEW_WORK, "notes.md", "\ufeffA\r\nB")).toMatchObject({ input: "text", text: "A\nB" });
    expect(withFile(NEW_WORK, "pvb.JSON", '{"Cible": "Lecteurs"}')).toMatchObject({ input: "board" });
    expect(withFile(NEW_WORK, "autre.json", '{"x": 1}')).toMatchObject({ input: "json", json: '{"x": 1}' });
    expect(withFile(NEW_WORK, "image.txt", "PNG\0\0")).toBeNull();
  });
});

describe("where a drawing comes from", () => {
  it("is found in the graphs of every kind, in the browser's own units", () => {
    const text = "🎉 La cliente 🎉 paie";
    const graph = { sections: [{ label: "x", tasks: [{ id: "t", label: "paie", source: { start: 15, end: 19, score: 1 } }] }] };
    const [origin, ...others] = originsOf(graph, text);
    expect(others).toEqual([]);
    expect(origin).toMatchObject({ id: "t", label: "paie", score: 1 });
    expect(text.slice(origin?.start, origin?.end)).toBe("paie");
  });
  it("stays with the nodes that a change by hand left as they were", () => {
    const graph = { nodes: [{ id: "n1", label: "Payer" }, { id: "n2", label: "Livrer" }] };
    expect(carried(graph, 'flowchart\n n1["Régler"] --> n2["Livrer"]')).toEqual({ nodes: [{ id: "n2", label: "Livrer" }] });
    expect(carried(graph, "pie")).toBeNull();
  });
});

it("a line of a text has a place", () => {
  expect([1, 2, 3, 9].map((line) => lineSpan("ab\n\ncd", line))).toEqual([
    { start: 0, end: 2 },
    { start: 3, end: 3 },
    { start: 4, end: 6 },
    { start: 4, end: 6 },
  ]);
});

import { describe, expect, it } from "vitest";
import { inflateSync } from "node:zlib";
import { liveUrl } from "./live";
import { matchTexts } from "./parts";
import { scaleFor } from "./picture";

describe("what a drawing shows", () => {
  const lines = (...groups: string[][]) => groups.flatMap((texts) => texts.map((text) => ({ text, group: texts })));

  it("is matched with labels that were wrapped, spaced or put in brackets", () => {
    const texts = lines(["alt"], ["[l'agent   vérifie]"], ["[La cliente", "envoie sa", "demande]"], ["autre"]);
    expect(matchTexts(texts, ["La cliente envoie sa demande", "L'agent vérifie"])).toEqual([-1, 1, 0, 0, 0, -1]);
  });
  it("keeps apart what is not in the same place", () => {
    expect(matchTexts(lines(["La cliente"], ["envoie"]), ["La cliente envoie"])).toEqual([-1, -1]);
  });
  it("gives labels that are there twice in their order", () => {
    expect(matchTexts(lines(["oui"], ["oui"], ["oui"]), ["oui", "non", "oui"])).toEqual([0, 2, 2]);
  });
});

describe("a picture", () => {
  it("has two pixels for one, and fewer where no canvas is that large", () => {
    expect(scaleFor(800, 600)).toBe(2);
    expect(scaleFor(20_000, 100)).toBeCloseTo(16_384 / 20_000);
    const scale = scaleFor(12_000, 12_000);
    expect(12_000 * scale * 12_000 * scale).toBeLessThanOrEqual(120_000_001);
  });
});

it("an editable copy holds the diagram, deflated in its fragment", async () => {
  const url = await liveUrl('flowchart TD\n  a["Été 🎉 + ?"]');
  const [address, packed = ""] = url.split("#pako:");
  expect(address).toBe("https://mermaid.live/edit");
  expect(packed).toMatch(/^[\w-]+$/);
  const state = JSON.parse(inflateSync(Buffer.from(packed, "base64url")).toString()) as { code: string };
  expect(state.code).toBe('flowchart TD\n  a["Été 🎉 + ?"]');
});

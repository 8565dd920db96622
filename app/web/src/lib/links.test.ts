import { expect, it } from "vitest";
import { splitLinks } from "./links";

it("finds the addresses of a sentence, without its punctuation", () => {
  const text = "Acceptez-les sur https://hub/a/b-1.0, puis un jeton (https://hub/settings/tokens).";
  const pieces = splitLinks(text);
  expect(pieces.filter(({ href }) => href).map(({ href }) => href)).toEqual([
    "https://hub/a/b-1.0",
    "https://hub/settings/tokens",
  ]);
  expect(pieces.map((piece) => piece.text).join("")).toBe(text);
});

it("leaves the rest alone", () => {
  expect(splitLinks("Rien à ouvrir.")).toEqual([{ text: "Rien à ouvrir." }]);
  expect(splitLinks("javascript:alert(1)")).toEqual([{ text: "javascript:alert(1)" }]);
  expect(splitLinks("")).toEqual([]);
});

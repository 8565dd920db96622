import { describe, expect, it } from "vitest";
import { lookup, typeset } from ".";
import { en } from "./en";
import { fr, type Key } from "./fr";

const keys = Object.keys(fr) as Key[];
const holes = (text: string): string[] => [...new Set(text.match(/\{\w+\}/g) ?? [])].sort();

describe("dictionaries", () => {
  it("have the same keys", () => expect(Object.keys(en).sort()).toEqual([...keys].sort()));
  it.each(keys)("%s has a text and the same holes in both languages", (key) => {
    expect(fr[key].trim()).not.toBe("");
    expect(en[key].trim()).not.toBe("");
    expect(holes(en[key])).toEqual(holes(fr[key]));
    expect(en[key].includes("|")).toBe(fr[key].includes("|"));
  });
});

describe("texts", () => {
  it("choose between singular and plural as each language does", () => {
    expect([0, 1, 2].map((n) => lookup("fr", "meetings.count", { n }))).toEqual([
      "0 réunion",
      "1 réunion",
      "2 réunions",
    ]);
    expect([0, 1, 2].map((n) => lookup("en", "meetings.count", { n }))).toEqual([
      "0 meetings",
      "1 meeting",
      "2 meetings",
    ]);
  });
  it("fill the holes once, leaving what people wrote alone", () => {
    expect(lookup("en", "meetings.delete", { title: "{title} : a|b" })).toBe("Delete “{title} : a|b”");
  });
  it("put French no-break spaces", () => {
    expect(typeset("Qui ? « Moi » : 5 %")).toBe("Qui\u00a0? «\u00a0Moi\u00a0»\u00a0: 5\u00a0%");
  });
});

import { describe, expect, it } from "vitest";
import { splitCode } from "./code";
import { formatRate } from "./format";
import { languageName, otherLanguages } from "./languages";
import { secondsOf, splitTimes } from "./times";
import { countFields, isPersonal, likeness, RANGE } from "./voices";

describe("moments in a sentence", () => {
  it("are found alone and as spans, and the pieces make the sentence again", () => {
    const text = "3 s de son n'ont donné aucun mot : 00:12-00:15, 1:02:03-1:02:09, …";
    const pieces = splitTimes(text, 7200);
    expect(pieces.map((piece) => piece.text).join("")).toBe(text);
    expect(pieces.filter(({ start }) => start !== undefined)).toEqual([
      { text: "00:12-00:15", start: 12, end: 15 },
      { text: "1:02:03-1:02:09", start: 3723, end: 3729 },
    ]);
  });
  it("leaves alone what is no moment of this recording", () => {
    for (const text of ["à 12:75", "09:30 hier", "http://127.0.0.1:5000", "1:2", "MAX=1", "00:15-00:12"])
      expect(splitTimes(text, 60)).toEqual([{ text }]);
    expect(secondsOf("1:02:03")).toBe(3723);
  });
});

describe("commands in a sentence", () => {
  it("are cut out, between backticks or quotation marks", () => {
    expect(splitCode("Absent ; `make run MOTEURS=nemo` l'ajoute.")).toEqual([
      { text: "Absent ; ", code: false },
      { text: "make run MOTEURS=nemo", code: true },
      { text: " l'ajoute.", code: false },
    ]);
    expect(splitCode("« make\u00a0run » non, «\u00a0make run MOTEURS=pyannote\u00a0» oui")[1]).toEqual({
      text: "make run MOTEURS=pyannote",
      code: true,
    });
    expect(splitCode("Le moteur « nemo » manque")).toEqual([{ text: "Le moteur « nemo » manque", code: false }]);
  });
});

describe("how many people speak", () => {
  it("is a number, a range with open ends, or nothing", () => {
    expect(countFields("", "2", "6")).toEqual({});
    expect(countFields("3", "2", "6")).toEqual({ num_speakers: "3" });
    expect(countFields(RANGE, "2", "6")).toEqual({ min_speakers: "2", max_speakers: "6" });
    expect(countFields(RANGE, "1", "4")).toEqual({ max_speakers: "4" });
    expect(countFields(RANGE, "2", "")).toEqual({ min_speakers: "2" });
    expect(countFields(RANGE, "4", "4")).toEqual({ num_speakers: "4" });
  });
});

describe("known voices", () => {
  it("have a person's name, not a number", () => {
    expect(["Intervenant 1", " speaker 12 ", "SPEAKER_00", "", "  "].map(isPersonal)).toEqual(Array(5).fill(false));
    expect(["Léa", "Intervenant Dupont"].map(isPersonal)).toEqual([true, true]);
  });
  it("are shown as recognised only while they keep the name that was recognised", () => {
    const recognised = { a: { name: "Léa", similarity: 0.971 }, b: { name: "Max", similarity: null } };
    expect(likeness({ recognised, speakers: { a: "Léa" } }, "a")).toBe(0.971);
    expect(likeness({ recognised, speakers: { a: "Zoé" } }, "a")).toBeNull();
    expect(likeness({ recognised, speakers: { b: "Max" } }, "b")).toBeNull();
    expect(likeness({ speakers: { a: "Léa" } }, "a")).toBeNull();
  });
});

it("tells a rate with the digits that matter", () => {
  expect([0.04, 0.38, 1, 7.4, 9.96, 118.7].map((rate) => formatRate(rate, "fr"))).toEqual([
    "0,04",
    "0,4",
    "1",
    "7,4",
    "10",
    "119",
  ]);
});

it("names languages in the language of the page", () => {
  expect([languageName("es", "fr"), languageName("es", "en"), languageName("??", "fr")]).toEqual([
    "Espagnol",
    "Spanish",
    "??",
  ]);
  const names = otherLanguages("fr").map(([, name]) => name);
  expect(names[0]).toBe("Allemand");
  expect(names).toEqual([...names].sort((a, b) => a.localeCompare(b, "fr")));
});

import { describe, expect, it } from "vitest";
import { formatBytes, formatClock, formatDate, formatDuration, formatParameters, formatRough } from "./format";

const plain = (text: string): string => text.replace(/[\u00a0\u202f]/g, " ");

describe("bytes", () => {
  it("speaks French units with a decimal comma", () => {
    expect(plain(formatBytes(0, "fr"))).toBe("0 o");
    expect(plain(formatBytes(999, "fr"))).toBe("999 o");
    expect(plain(formatBytes(1500, "fr"))).toBe("2 ko");
    expect(plain(formatBytes(734_003_200, "fr"))).toBe("734 Mo");
    expect(plain(formatBytes(1_234_000_000, "fr"))).toBe("1,23 Go");
    expect(plain(formatBytes(25_700_000_000, "fr"))).toBe("25,7 Go");
  });
  it("never shows a thousand of the smaller unit", () => {
    expect(plain(formatBytes(999_999_999, "fr"))).toBe("1 Go");
  });
  it("speaks English units", () => expect(plain(formatBytes(1_234_000_000, "en"))).toBe("1.23 GB"));
  it("shows a dash for what is not known", () => {
    expect(formatBytes(null, "fr")).toBe("–");
    expect(formatBytes(Number.NaN, "fr")).toBe("–");
    expect(formatBytes(-1, "fr")).toBe("–");
  });
});

describe("times", () => {
  it("gives positions", () => {
    expect(formatClock(0)).toBe("0:00");
    expect(formatClock(75.9)).toBe("1:15");
    expect(formatClock(3675)).toBe("1:01:15");
    expect(formatClock(Number.NaN)).toBe("0:00");
  });
  it("gives durations", () => {
    expect(plain(formatDuration(2.74, "fr"))).toBe("2,7 s");
    expect(plain(formatDuration(59.7, "fr"))).toBe("1 min");
    expect(plain(formatDuration(67.4, "fr"))).toBe("1 min 7 s");
    expect(plain(formatDuration(3720, "en"))).toBe("1 h 2 min");
    expect(formatDuration(null, "fr")).toBe("–");
  });
  it("gives waits roughly", () => {
    const waits = [0, 3, 37, 54, 55, 61, 3540, 3600, 4000, 7100];
    expect(waits.map((s) => plain(formatRough(s)))).toEqual([
      "5 s",
      "5 s",
      "40 s",
      "55 s",
      "1 min",
      "2 min",
      "59 min",
      "1 h",
      "1 h 10 min",
      "2 h",
    ]);
  });
  it("accepts ISO text and Unix seconds, and says nothing of nonsense", () => {
    expect(formatDate("2026-11-21T08:00:00+00:00", "fr")).toContain("2026");
    expect(formatDate(1_795_000_000, "en")).toContain("2026");
    expect(formatDate("hier", "fr")).toBe("");
  });
});

it("counts parameters", () => {
  expect(plain(formatParameters(8_400_000, "fr"))).toBe("8,4 M");
  expect(plain(formatParameters(7_200_000_000, "fr"))).toBe("7,2 Md");
  expect(plain(formatParameters(7_200_000_000, "en"))).toBe("7.2 B");
  expect(formatParameters(0, "fr")).toBe("–");
});

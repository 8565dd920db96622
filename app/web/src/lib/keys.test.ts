import { describe, expect, it } from "vitest";
import { bodyOf, changesOf, countFrom, daysOf, draftOf, inOrder, totalOf, type ApiKey } from "./keys";

const use = (requests: number, prompt = 0, completion = 0, audio = 0) => ({
  requests,
  prompt_tokens: prompt,
  completion_tokens: completion,
  audio_seconds: audio,
});
const key = (fields: Partial<ApiKey>): ApiKey => ({
  id: "a",
  name: "Atelier",
  prefix: "sk-frigo-a",
  state: "active",
  created_at: "2026-01-01T00:00:00+00:00",
  expires_at: null,
  revoked_at: null,
  models: null,
  requests_per_minute: null,
  tokens_per_day: null,
  today: use(0),
  ...fields,
});

describe("the use of keys", () => {
  const now = new Date("2026-03-02T23:59:00Z");
  const rows = [
    { key_id: "a", day: "2026-03-02", ...use(2, 10, 5) },
    { key_id: "b", day: "2026-03-02", ...use(1, 1, 1, 7.5) },
    { key_id: "a", day: "2026-02-28", ...use(3, 30, 0) },
    { key_id: "a", day: "2026-02-01", ...use(9, 9, 9) },
  ];
  it("is told for each day, in UTC, empty ones included", () => {
    const days = daysOf(rows, 4, now);
    expect(days.map(({ day }) => day)).toEqual(["2026-02-27", "2026-02-28", "2026-03-01", "2026-03-02"]);
    expect(days[3]).toEqual({ day: "2026-03-02", ...use(3, 11, 6, 7.5) });
    expect(totalOf(days)).toEqual(use(6, 41, 6, 7.5));
  });
  it("is told for one key", () => {
    expect(totalOf(daysOf(rows, 4, now, "b"))).toEqual(use(1, 1, 1, 7.5));
  });
});

describe("a key's form", () => {
  it("understands numbers as they are written, and only those", () => {
    expect(["", " ", "60", "200 000", "200\u202f000"].map(countFrom)).toEqual([null, null, 60, 200_000, 200_000]);
    for (const wrong of ["0", "-3", "1,5", "dix", "1e9"]) expect(countFrom(wrong)).toBeNaN();
  });
  it("lets a key open until the end of its last day", () => {
    const body = bodyOf({ name: " Atelier ", until: "2027-06-30", models: [], perMinute: "60", perDay: "" });
    expect(body).toEqual({
      name: "Atelier",
      expires_at: new Date("2027-06-30T23:59:59").toISOString(),
      models: null,
      requests_per_minute: 60,
      tokens_per_day: null,
    });
  });
  it("sends what was changed and nothing else", () => {
    const old = key({ expires_at: "2020-05-01T12:00:00+00:00", models: ["qwen"], requests_per_minute: 5 });
    expect(changesOf(old, draftOf(old))).toEqual({});
    expect(changesOf(old, { ...draftOf(old), models: [], perMinute: "" })).toEqual({
      models: null,
      requests_per_minute: null,
    });
  });
});

it("keys that open the door come first, the latest of them before", () => {
  const keys = [
    key({ id: "old" }),
    key({ id: "gone", state: "revoked", created_at: "2026-09-01" }),
    key({ id: "new", created_at: "2026-05-01" }),
  ];
  expect(inOrder(keys).map(({ id }) => id)).toEqual(["new", "old", "gone"]);
});

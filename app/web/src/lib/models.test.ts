import { describe, expect, it } from "vitest";
import { actionsFor } from "../pages/admin/states";
import { displayName, hubIdFrom, isHubId, keptBytes, offersOf, pickerItems, stableOrder, standIn } from "./models";
import type { ModelInfo } from "./types";

const GB = 1e9;
const model = (key: string, fields: Partial<ModelInfo> = {}): ModelInfo => ({ key, state: "idle", fits: true, ...fields });
const mini = model("mini", { embedded: true, state: "ready", need_bytes: GB });
const keys = (models: readonly ModelInfo[]): string[] => models.map(({ key }) => key);

it("offers what can be stopped to be stopped", () => {
  expect(actionsFor("downloading")).toEqual(["cancel"]);
  expect(actionsFor("loading")).toEqual(["cancel"]);
  expect(actionsFor("unloading")).toEqual([]);
});

describe("rows", () => {
  it("begin with what serves and end with what does not fit", () => {
    const models = [
      model("huge", { fits: false, rank: 1, need_bytes: 90 * GB }),
      model("second", { rank: 3, need_bytes: GB }),
      model("best", { rank: 2, need_bytes: 2 * GB }),
      mini,
    ];
    expect(stableOrder([], models)).toEqual(["mini", "best", "second", "huge"]);
  });
  it("stay where they are when states change; a new model comes last, a lost one goes", () => {
    const order = ["mini", "a", "b"];
    expect(stableOrder(order, [mini, model("b", { state: "ready" }), model("new"), model("a")])).toEqual([
      "mini",
      "a",
      "b",
      "new",
    ]);
    expect(stableOrder(order, [model("b")])).toEqual(["b"]);
  });
});

it("names models as people do", () => {
  const name = (hub_id: string): string => displayName({ key: "k", hub_id });
  expect(name("Qwen/Qwen2.5-0.5B-Instruct")).toBe("Qwen2.5 0.5B");
  expect(name("nvidia/canary-180m-flash")).toBe("Canary 180M flash");
  expect(name("pyannote/speaker-diarization-community-1")).toBe("Pyannote community 1");
  expect(name("mistralai/Mistral-7B-Instruct-v0.3")).toBe("Mistral 7B");
  expect(displayName({ key: "frigo-mini", hub_id: null })).toBe("Frigo mini");
});

describe("the first offer", () => {
  const models = [
    mini,
    model("huge", { rank: 1, fits: false, need_bytes: 90 * GB, reason: "Trop grand." }),
    model("best", { rank: 2, need_bytes: 8 * GB }),
    model("near", { rank: 3, need_bytes: 7 * GB }),
    model("light", { rank: 4, need_bytes: 4 * GB }),
    model("closed", { rank: 5, need_bytes: 2 * GB, gated: true }),
    model("small", { rank: 6, need_bytes: GB }),
    model("smaller", { rank: 7, need_bytes: GB / 2 }),
  ];
  const service = { name: "gpt", state: "up", models };

  it("has the best that fits, then lighter ones, then the best that does not", () => {
    const [offer] = offersOf([service], false);
    expect(keys(offer?.fitting ?? [])).toEqual(["best", "light", "small"]);
    expect(offer?.unfit?.key).toBe("huge");
  });
  it("has gated models once there is a token", () => {
    expect(keys(offersOf([service], true)[0]?.fitting ?? [])).toEqual(["best", "light", "closed"]);
  });
  it("is of what must be asked for where nothing else fits, until there is a token", () => {
    const gated = [mini, model("terms", { rank: 1, gated: true, need_bytes: GB })];
    const [offer] = offersOf([{ ...service, models: gated }], false);
    expect([offer?.closed?.key, offer?.fitting]).toEqual(["terms", []]);
    expect(offersOf([{ ...service, models: gated }], true)[0]).toMatchObject({ closed: null, fitting: [{ key: "terms" }] });
    expect(offersOf([service], false)[0]?.closed).toBeNull();
    const absent = [mini, model("terms", { rank: 1, gated: true, fits: false, need_bytes: GB, reason: "Absent." })];
    expect(offersOf([{ ...service, models: absent }], false)).toEqual([]);
  });
  it("keeps what is on its way in sight", () => {
    const moving = models.map((m) => (m.key === "near" ? { ...m, state: "downloading" } : m));
    expect(keys(offersOf([{ ...service, models: moving }], false)[0]?.fitting ?? [])).toContain("near");
  });
  it("is over once another model serves, and not made while nothing does", () => {
    const served = models.map((m) => (m.key === "light" ? { ...m, state: "ready" } : m));
    expect(offersOf([{ ...service, models: served }], false)).toEqual([]);
    expect(offersOf([{ ...service, models: models.slice(1) }, { name: "chat", state: "up" }], false)).toEqual([]);
  });
  it("is not made by a service where nothing fits", () => {
    const misfits = [mini, model("huge", { rank: 1, fits: false, need_bytes: 90 * GB, reason: "Trop grand." })];
    expect(offersOf([{ ...service, models: misfits }], false)).toEqual([]);
  });
  it("never offers what nothing is known of", () => {
    const unknown = [mini, model("what", { rank: 1, need_bytes: null })];
    expect(offersOf([{ ...service, models: unknown }], false)).toEqual([]);
  });
});

it("knows who answers meanwhile", () => {
  const waiting = [mini, model("a", { state: "downloading" })];
  expect(standIn(waiting, "a")).toBe("mini");
  expect(standIn(waiting, "mini")).toBeNull();
  expect(standIn([model("a")], "a")).toBeNull();
});

it("knows what a stopped download kept", () => {
  const part = { bytes_done: 10, bytes_total: 100 };
  expect(keptBytes(model("a", part))).toBe(10);
  expect(keptBytes(model("a", { ...part, state: "error" }))).toBe(10);
  expect(keptBytes(model("a", { ...part, state: "downloading" }))).toBe(0);
  expect(keptBytes(model("a", { bytes_done: 100, bytes_total: 100 }))).toBe(0);
  expect(keptBytes(model("a"))).toBe(0);
});

it("puts adapters under their model", () => {
  const list = [
    { id: "default" },
    { id: "a" },
    { id: "b" },
    { id: "b-law", parent: "b" },
    { id: "a-verse", parent: "a" },
    { id: "lost", parent: "gone" },
  ];
  expect(pickerItems(list).map(({ model: { id }, adapter }) => (adapter ? `  ${id}` : id))).toEqual([
    "a",
    "  a-verse",
    "b",
    "  b-law",
    "  lost",
  ]);
});

describe("hub ids", () => {
  it("are owner/name", () => {
    expect(["a/b", "Qwen/Qwen2.5-0.5B"].every(isHubId)).toBe(true);
    expect(["a", "a/b/c", "/a", "a/", "../b", "a/..", "a b/c", ""].some(isHubId)).toBe(false);
  });
  it("are found in the address of a page", () => {
    expect(hubIdFrom(" https://huggingface.co/Qwen/Qwen2.5-0.5B/tree/main ")).toBe("Qwen/Qwen2.5-0.5B");
    expect(hubIdFrom("https://hf.co/a/b?x=1")).toBe("a/b");
    expect(hubIdFrom(" a/b ")).toBe("a/b");
  });
});

import { describe, expect, it } from "vitest";
import { absentReplicas, differentDefaults, hostOf, modelActions, raiseWarnings } from "./replicas";
import type { AdminService, ModelInfo } from "../../lib/types";

const replica = (url: string, fields = {}) => ({ url, state: "up", chosen: "mini", ...fields });
const gpt = (...replicas: AdminService["replicas"] & object): AdminService => ({ name: "gpt", state: "up", replicas });

describe("what can be asked of a model", () => {
  const on = (state: string, ...others: string[]): ModelInfo => ({
    key: "m",
    state,
    ...(others.length > 0 ? { replicas: [state, ...others].map((each, n) => ({ url: `http://gpt-${n}`, state: each })) } : {}),
  });

  it("is what its state allows", () => {
    expect(modelActions(on("ready"))).toEqual(["unload"]);
    expect(modelActions(on("idle"))).toEqual(["download", "load"]);
    expect(modelActions({ ...on("idle"), embedded: true })).toEqual(["load"]);
  });
  it("is what any replica allows when they differ", () => {
    expect(modelActions(on("ready", "downloaded"))).toEqual(["load", "unload"]);
    expect(modelActions(on("downloading", "idle"))).toEqual(["download", "load", "cancel"]);
    expect(modelActions({ ...on("ready", "idle"), embedded: true })).toEqual(["load", "unload"]);
  });
});

it("names the replicas that do not answer", () => {
  expect(absentReplicas(gpt(replica("http://gpt:5002"), replica("http://gpt-b:5002/", { state: "down" })))).toEqual(["gpt-b:5002"]);
  expect(absentReplicas({ name: "gpt", state: "down" })).toEqual([]);
});

it("tells the default of each replica only when they differ", () => {
  expect(differentDefaults(gpt(replica("http://a"), replica("http://b")))).toEqual([]);
  expect(differentDefaults(gpt(replica("http://a"), replica("http://b", { chosen: null })))).toEqual([]);
  expect(differentDefaults(gpt(replica("http://a"), replica("https://b", { chosen: "gpt2" })))).toEqual([
    { host: "a", chosen: "mini" },
    { host: "b", chosen: "gpt2" },
  ]);
});

it("shortens addresses", () => expect(hostOf("https://frigo-gpt.onrender.com/")).toBe("frigo-gpt.onrender.com"));

it("raises what a replica could not do", () => {
  expect(() => raiseWarnings({ warnings: ["gpt (http://gpt-b:5002) : trop grand."] })).toThrow("trop grand");
  for (const fine of [undefined, {}, { warnings: [] }]) expect(() => raiseWarnings(fine)).not.toThrow();
});

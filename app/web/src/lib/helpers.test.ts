import { expect, it } from "vitest";
import { nodeIdOf } from "./mermaid";
import { overallProgress, resumable } from "./steps";
import { indexAt } from "./timeline";

it("finds the span at a time, and none in a gap", () => {
  const spans = [
    { start: 0, end: 1 },
    { start: 1, end: 2 },
    { start: 5, end: 6 },
  ];
  expect([-1, 0, 0.9, 1, 2, 4.9, 5, 6].map((s) => indexAt(spans, s))).toEqual([-1, 0, 0, 1, -1, -1, 2, -1]);
  expect(indexAt([], 0)).toBe(-1);
});

it("measures the whole work by its steps", () => {
  const step = (name: string, state: "done" | "running" | "pending", progress: number) => ({
    name,
    state,
    progress,
    seconds: null,
  });
  expect(overallProgress([])).toBe(0);
  expect(overallProgress([step("asr", "done", 1), step("diagram", "done", 1)])).toBe(1);
  expect(overallProgress([step("asr", "running", 0.5), step("diarize", "pending", 0)])).toBeCloseTo(2.5 / 7);
});

it("can be resumed when anything is missing", () => {
  const step = (state: "done" | "failed") => ({ name: "diagram", state, progress: 0, seconds: null });
  expect(resumable({ state: "done", steps: [step("done")] })).toBe(false);
  expect(resumable({ state: "done", steps: [step("failed")] })).toBe(true);
  expect(resumable({ state: "running", steps: [step("failed")] })).toBe(false);
  expect(resumable({ state: "cancelled" })).toBe(true);
});

it("knows the graph's node behind a drawn one", () => {
  expect(nodeIdOf("frigo-diagram-3-flowchart-n12-5")).toBe("n12");
  expect(nodeIdOf("flowchart-n1-0")).toBe("n1");
  expect(nodeIdOf("edge-n1")).toBeNull();
});

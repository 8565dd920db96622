import type { MeetingState, Step } from "./types";

/** Rough weights of the steps in a meeting's whole work, by what they cost on a CPU. */
const WEIGHTS: Record<string, number> = { asr: 5, diarize: 2, join: 0.2, minutes: 2, diagram: 2 };

/** Whether something can be taken up again: a meeting may be done with a step that failed. */
export const resumable = ({ state, steps }: { state: MeetingState; steps?: readonly Step[] }): boolean =>
  state === "failed" ||
  state === "cancelled" ||
  (state === "done" && (steps ?? []).some((step) => step.state === "failed"));

const clamp = (value: number): number => Math.min(1, Math.max(0, value));

/** How much of a meeting's work is done, 0 to 1. */
export function overallProgress(steps: readonly Step[]): number {
  let total = 0;
  let done = 0;
  for (const step of steps) {
    const weight = WEIGHTS[step.name] ?? 1;
    total += weight;
    done += weight * (step.state === "done" ? 1 : clamp(step.progress ?? 0));
  }
  return total > 0 ? clamp(done / total) : 0;
}

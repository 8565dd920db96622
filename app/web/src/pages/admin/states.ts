export type ModelAction = "download" | "load" | "unload";

/** States that pass by themselves. */
export const MOVING: ReadonlySet<string> = new Set(["downloading", "loading", "unloading"]);

/** What can be asked of a model in `state`. */
export function actionsFor(state: string): ModelAction[] {
  if (state === "ready") return ["unload"];
  if (state === "downloaded") return ["load"];
  if (state === "idle" || state === "error") return ["download", "load"];
  return [];
}

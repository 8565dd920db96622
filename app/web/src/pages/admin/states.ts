export type ModelAction = "download" | "load" | "unload" | "cancel";

/** States that pass by themselves. */
export const MOVING: ReadonlySet<string> = new Set(["downloading", "loading", "unloading"]);

/** What can be asked of a model in `state`. */
export function actionsFor(state: string): ModelAction[] {
  if (state === "ready") return ["unload"];
  if (state === "downloaded") return ["load"];
  if (state === "idle" || state === "error") return ["download", "load"];
  if (state === "downloading" || state === "loading") return ["cancel"];
  return [];
}

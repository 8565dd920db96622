import { actionsFor, type ModelAction } from "./states";
import type { AdminService, ModelInfo } from "../../lib/types";

const ORDER: readonly ModelAction[] = ["download", "load", "cancel", "unload"];

/** « http://gpt-b:5002 » → « gpt-b:5002 ». */
export const hostOf = (url: string): string => url.replace(/^https?:\/\//, "").replace(/\/$/, "");

/** What can be asked of a model: of any of the replicas, when they are not all in the same state. */
export function modelActions(model: ModelInfo): ModelAction[] {
  const states = (model.replicas ?? []).length > 0 ? (model.replicas ?? []).map(({ state }) => state) : [model.state];
  const asked = new Set(
    states.flatMap((state): ModelAction[] => (model.embedded && state === "idle" ? ["load"] : actionsFor(state))),
  );
  return ORDER.filter((action) => asked.has(action));
}

/** Addresses of a service that do not answer while others do. */
export const absentReplicas = (service: AdminService): string[] =>
  (service.replicas ?? []).filter(({ state }) => state === "down").map(({ url }) => hostOf(url));

/** The default model of each replica that answers, when it is not the same everywhere. */
export function differentDefaults(service: AdminService): { host: string; chosen: string }[] {
  const known = (service.replicas ?? []).flatMap(({ url, chosen }) => (chosen ? [{ host: hostOf(url), chosen }] : []));
  return new Set(known.map(({ chosen }) => chosen)).size > 1 ? known : [];
}

/** Raise what some replicas could not do, although the others did it: a person must know. */
export function raiseWarnings(answer: { warnings?: string[] } | undefined): void {
  const warnings = answer?.warnings ?? [];
  if (warnings.length > 0) throw new Error(warnings.join(" "));
}

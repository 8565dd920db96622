import type { AdminService, ChatModel, ModelInfo } from "./types";

const STATE_ORDER: Record<string, number> = { ready: 0, unloading: 0, loading: 1, downloading: 2, downloaded: 3 };
const LAST = 1e9;
const LIGHTER = 0.5;
const OFFERS = 3;

/** What serves first, then what is on its way or on the disk, then what fits here, then the rest; best first. */
export function byInterest(a: ModelInfo, b: ModelInfo): number {
  return place(a) - place(b) || (a.rank ?? LAST) - (b.rank ?? LAST) || (a.parameters ?? 0) - (b.parameters ?? 0);
}

const place = (model: ModelInfo): number =>
  STATE_ORDER[model.state] ?? (model.fits === false ? 6 : model.need_bytes ? 4 : 5);

/** Keys in an order that stays while states change: rows do not run away under the pointer. New ones come last. */
export function stableOrder(known: readonly string[], models: readonly ModelInfo[]): string[] {
  const kept = new Set(known);
  const sorted = [...models].sort(byInterest).map(({ key }) => key);
  const here = new Set(sorted);
  return [...known.filter((key) => here.has(key)), ...sorted.filter((key) => !kept.has(key))];
}

/** « Qwen/Qwen2.5-0.5B-Instruct » → « Qwen2.5 0.5B »; the key when there is no hub id. */
export function displayName(model: Pick<ModelInfo, "key" | "hub_id">): string {
  const tail = (model.hub_id ?? model.key).split("/").at(-1) ?? model.key;
  const words = tail
    .replace(/[-_](instruct|it|chat|hf)\b.*$/i, "")
    .replace(/^speaker-diarization-/, "pyannote-")
    .replace(/\b(\d+(?:\.\d+)?)([bm])\b/g, (_, size: string, unit: string) => size + unit.toUpperCase())
    .split(/[-_]/)
    .join(" ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

export interface Offer {
  service: AdminService;
  fitting: ModelInfo[];
  /** The best of those that cannot run here, and why: its `reason`. */
  unfit: ModelInfo | null;
  /** Where nothing else fits: the best of those whose terms must be accepted first, with the hub's token. */
  closed: ModelInfo | null;
}

/**
 * What each service that only runs on what ships with Frigo could run instead: the best model that fits, then the best
 * of half its size, and again. Models whose terms must be accepted first need the hub's token: without it, the best of
 * them is told where there is nothing else.
 */
export function offersOf(services: readonly AdminService[], hasToken: boolean): Offer[] {
  return services
    .filter(({ models }) => onlyEmbedded(models ?? []))
    .map((service) => {
      const others = (service.models ?? []).filter(({ embedded }) => !embedded).sort(byRank);
      const open = others.filter(({ gated }) => hasToken || !gated);
      const fitting: ModelInfo[] = [];
      for (const model of open) {
        const last = fitting.at(-1);
        const moving = model.state === "downloading" || model.state === "loading";
        const lighter = !last || (model.need_bytes ?? LAST) <= (last.need_bytes ?? LAST) * LIGHTER;
        if (model.fits && model.need_bytes && (moving || (fitting.length < OFFERS && lighter))) fitting.push(model);
      }
      const closed = fitting.length > 0 ? undefined : others.find(({ gated, fits }) => gated && !hasToken && fits);
      return { service, fitting, closed: closed ?? null, unfit: others.find(({ fits, reason }) => fits === false && reason) ?? null };
    })
    .filter(({ fitting, closed }) => fitting.length > 0 || closed !== null);
}

const byRank = (a: ModelInfo, b: ModelInfo): number => (a.rank ?? LAST) - (b.rank ?? LAST);

function onlyEmbedded(models: readonly ModelInfo[]): boolean {
  const ready = models.filter(({ state }) => state === "ready");
  return ready.length > 0 && ready.every(({ embedded }) => embedded);
}

/** The model that answers calls that name none while the default one, `chosen`, is not ready; null when there is none. */
export function standIn(models: readonly ModelInfo[], chosen: string): string | null {
  const ready = models.filter(({ state }) => state === "ready");
  return ready.some(({ key }) => key === chosen) || ready.length !== 1 ? null : (ready[0]?.key ?? null);
}

/** Bytes of a stopped download that the next one goes on from; 0 when there are none. */
export function keptBytes(model: ModelInfo): number {
  const done = model.bytes_done ?? 0;
  const resting = model.state === "idle" || model.state === "error";
  return resting && done > 0 && done < (model.bytes_total ?? 0) ? done : 0;
}

export interface PickerItem {
  model: ChatModel;
  /** An adapter, shown under its model. */
  adapter: boolean;
}

/** Models in the server's order, each followed by its adapters; adapters whose model is not listed come last. */
export function pickerItems(models: readonly ChatModel[]): PickerItem[] {
  const listed = models.filter(({ id }) => id !== "default");
  const bases = listed.filter(({ parent }) => !parent);
  const ids = new Set(bases.map(({ id }) => id));
  const under = (id: string): PickerItem[] =>
    listed.filter(({ parent }) => parent === id).map((model) => ({ model, adapter: true }));
  return [
    ...bases.flatMap((model) => [{ model, adapter: false }, ...under(model.id)]),
    ...listed.filter(({ parent }) => parent && !ids.has(parent)).map((model) => ({ model, adapter: true })),
  ];
}

/** Whether `text` can be a hub id: « owner/name ». */
export const isHubId = (text: string): boolean =>
  /^[A-Za-z0-9][\w.-]*\/[A-Za-z0-9][\w.-]*$/.test(text) && !text.includes("..");

/** What a person pastes: an id, or the address of the model's page on the hub. */
export function hubIdFrom(text: string): string {
  const path = /^https?:\/\/[^/]+\/([^/?#\s]+\/[^/?#\s]+)/.exec(text.trim());
  return path?.[1] ?? text.trim();
}

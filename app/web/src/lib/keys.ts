/** The API keys made in the dashboard: their wire types, and what a form says of them. */

/** Where the Supervision asks for them. */
export const KEYS = "/api/admin/keys";

export interface KeyUse {
  requests: number;
  prompt_tokens: number;
  completion_tokens: number;
  audio_seconds: number;
}

export interface ApiKey {
  id: string;
  name: string;
  /** How the key begins; the rest is known to its holder alone. */
  prefix: string;
  state: "active" | "expired" | "revoked";
  created_at: string;
  expires_at: string | null;
  revoked_at: string | null;
  /** null: all of them. */
  models: string[] | null;
  requests_per_minute: number | null;
  /** Read and written, in a day of UTC. */
  tokens_per_day: number | null;
  today: KeyUse;
}

/** What a key used in a day of UTC. */
export interface KeyDay extends KeyUse {
  key_id: string;
  day: string;
}

export interface Day extends KeyUse {
  day: string;
}

const NOTHING: KeyUse = { requests: 0, prompt_tokens: 0, completion_tokens: 0, audio_seconds: 0 };
const DAY_MS = 86_400_000;

const plus = (a: KeyUse, b: KeyUse): KeyUse => ({
  requests: a.requests + b.requests,
  prompt_tokens: a.prompt_tokens + b.prompt_tokens,
  completion_tokens: a.completion_tokens + b.completion_tokens,
  audio_seconds: a.audio_seconds + b.audio_seconds,
});

/** The last `count` days up to that of `now` (UTC), empty ones included; of one key, or of all with "". */
export function daysOf(rows: readonly KeyDay[], count: number, now: Date, keyId = ""): Day[] {
  const last = Math.floor(now.getTime() / DAY_MS);
  const days = Array.from({ length: count }, (_, index) => ({
    day: new Date((last - count + 1 + index) * DAY_MS).toISOString().slice(0, 10),
    ...NOTHING,
  }));
  const places = new Map(days.map(({ day }, index) => [day, index]));
  for (const row of rows) {
    const at = places.get(row.day);
    const day = at === undefined ? undefined : days[at];
    if (at !== undefined && day && (!keyId || row.key_id === keyId)) days[at] = { day: day.day, ...plus(day, row) };
  }
  return days;
}

export const totalOf = (days: readonly KeyUse[]): KeyUse => days.reduce(plus, NOTHING);

/** Those that open the door, then those that no longer do; the latest made first. */
export const inOrder = (keys: readonly ApiKey[]): ApiKey[] =>
  [...keys].sort(
    (a, b) =>
      Number(a.state !== "active") - Number(b.state !== "active") || b.created_at.localeCompare(a.created_at),
  );

/** What is typed in the form: texts. */
export interface KeyDraft {
  name: string;
  /** A day of the calendar here, « 2027-06-30 »; the key opens until its end. Empty: for ever. */
  until: string;
  models: string[];
  perMinute: string;
  perDay: string;
}

export function draftOf(key: ApiKey | null): KeyDraft {
  return {
    name: key?.name ?? "",
    until: key?.expires_at ? dayHere(new Date(key.expires_at)) : "",
    models: key?.models ?? [],
    perMinute: key?.requests_per_minute ? String(key.requests_per_minute) : "",
    perDay: key?.tokens_per_day ? String(key.tokens_per_day) : "",
  };
}

/** « 200 000 » → 200000; nothing → null, no limit; what is no whole number above zero → NaN. */
export function countFrom(text: string): number | null {
  const bare = text.replace(/[\s\u00a0\u202f]/g, "");
  if (!bare) return null;
  return /^[1-9]\d{0,14}$/.test(bare) ? Number(bare) : Number.NaN;
}

export function dayHere(date: Date): string {
  const two = (n: number): string => String(n).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

type Body = Record<string, unknown>;

/** What to send to make the key of a draft. */
export function bodyOf(draft: KeyDraft): Body {
  return {
    name: draft.name.trim(),
    expires_at: draft.until ? new Date(`${draft.until}T23:59:59`).toISOString() : null,
    models: draft.models.length > 0 ? draft.models : null,
    requests_per_minute: countFrom(draft.perMinute),
    tokens_per_day: countFrom(draft.perDay),
  };
}

const FIELDS: Record<string, keyof KeyDraft> = {
  name: "name",
  expires_at: "until",
  models: "models",
  requests_per_minute: "perMinute",
  tokens_per_day: "perDay",
};

/** What to send to change `key` into the draft: what the person changed, nothing else. */
export function changesOf(key: ApiKey, draft: KeyDraft): Body {
  const before = draftOf(key);
  return Object.fromEntries(
    Object.entries(bodyOf(draft)).filter(([name]) => {
      const field = FIELDS[name];
      return field && JSON.stringify(before[field]) !== JSON.stringify(draft[field]);
    }),
  );
}

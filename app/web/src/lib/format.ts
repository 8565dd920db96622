import type { Lang } from "../i18n";

const locale = (lang: Lang): string => (lang === "fr" ? "fr-FR" : "en-GB");

const UNITS: Record<Lang, readonly string[]> = {
  fr: ["o", "ko", "Mo", "Go", "To"],
  en: ["B", "kB", "MB", "GB", "TB"],
};

/** Bytes in decimal units: 734003200 → « 734 Mo » or "734 MB". */
export function formatBytes(bytes: number | null | undefined, lang: Lang): string {
  if (bytes === null || bytes === undefined || !Number.isFinite(bytes) || bytes < 0) return "–";
  const units = UNITS[lang];
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit < 2 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  const text = new Intl.NumberFormat(locale(lang), { maximumFractionDigits: digits }).format(value);
  return `${text}\u00a0${units[unit] ?? ""}`;
}

/** A position in a recording: 75 → "1:15", 3675 → "1:01:15". */
export function formatClock(seconds: number): string {
  const whole = Math.max(0, Math.floor(Number.isFinite(seconds) ? seconds : 0));
  const h = Math.floor(whole / 3600);
  const m = Math.floor((whole % 3600) / 60);
  const s = String(whole % 60).padStart(2, "0");
  return h > 0 ? `${h}:${String(m).padStart(2, "0")}:${s}` : `${m}:${s}`;
}

/** A length of time for people: 42.3 → « 42 s », 75 → « 1 min 15 s », 3700 → « 1 h 2 min ». */
export function formatDuration(seconds: number | null | undefined, lang: Lang): string {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "–";
  if (seconds < 10) {
    const text = new Intl.NumberFormat(locale(lang), { maximumFractionDigits: 1 }).format(Math.max(0, seconds));
    return `${text}\u00a0s`;
  }
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole}\u00a0s`;
  const h = Math.floor(whole / 3600);
  const m = Math.floor((whole % 3600) / 60);
  const s = whole % 60;
  if (h > 0) return m > 0 ? `${h}\u00a0h ${m}\u00a0min` : `${h}\u00a0h`;
  return s > 0 ? `${m}\u00a0min ${s}\u00a0s` : `${m}\u00a0min`;
}

/** A wait, told roughly so that it does not flicker: 37 → « 40 s », 75 → « 2 min », 4000 → « 1 h 10 min ». */
export function formatRough(seconds: number): string {
  if (seconds < 55) return `${Math.max(5, Math.ceil(seconds / 5) * 5)}\u00a0s`;
  const minutes = Math.ceil(seconds / 60);
  if (minutes < 60) return `${minutes}\u00a0min`;
  const tens = Math.round(minutes / 10) * 10;
  return tens % 60 === 0 ? `${tens / 60}\u00a0h` : `${Math.floor(tens / 60)}\u00a0h ${tens % 60}\u00a0min`;
}

/** How fast a recording is worked on: 0.38 → « 0,4 », 12.4 → « 12 » times as fast as it is spoken. */
export function formatRate(rate: number, lang: Lang): string {
  const digits = rate < 0.095 ? 2 : rate < 9.95 ? 1 : 0;
  return new Intl.NumberFormat(locale(lang), { maximumFractionDigits: digits }).format(rate);
}

/** A number of parameters: 8_400_000 → « 8,4 M ». */
export function formatParameters(count: number | null | undefined, lang: Lang): string {
  if (!count || !Number.isFinite(count)) return "–";
  const [value, unit] =
    count >= 1e9 ? [count / 1e9, lang === "fr" ? "Md" : "B"] : count >= 1e6 ? [count / 1e6, "M"] : [count / 1e3, "k"];
  const text = new Intl.NumberFormat(locale(lang), { maximumFractionDigits: value < 10 ? 1 : 0 }).format(value);
  return `${text}\u00a0${unit}`;
}

export function formatNumber(value: number, lang: Lang): string {
  return new Intl.NumberFormat(locale(lang)).format(value);
}

export function formatPercent(ratio: number, lang: Lang): string {
  return new Intl.NumberFormat(locale(lang), { style: "percent", maximumFractionDigits: 0 }).format(ratio);
}

/** ISO text or a Unix time in seconds → a local date and time. */
export function formatDate(value: string | number | null | undefined, lang: Lang): string {
  if (value === null || value === undefined || value === "") return "";
  const date = typeof value === "number" ? new Date(value * 1000) : new Date(value);
  if (Number.isNaN(date.getTime())) return "";
  return new Intl.DateTimeFormat(locale(lang), { dateStyle: "medium", timeStyle: "short" }).format(date);
}

/** A day of the calendar, « 2026-03-02 » or a moment of it here: « 2 mars 2026 »; « 2 mars » when `short`. */
export function formatDay(value: string, lang: Lang, short = false): string {
  const alone = /^\d{4}-\d\d-\d\d$/.test(value);
  const date = new Date(alone ? `${value}T00:00:00Z` : value);
  if (Number.isNaN(date.getTime())) return "";
  return new Intl.DateTimeFormat(locale(lang), {
    day: "numeric",
    month: "short",
    ...(short ? {} : { year: "numeric" }),
    ...(alone ? { timeZone: "UTC" } : {}),
  }).format(date);
}

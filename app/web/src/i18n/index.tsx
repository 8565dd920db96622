import { createContext, useCallback, useContext, useEffect, useMemo, useState, type ReactNode } from "react";
import { readText, writeText } from "../lib/storage";
import { en } from "./en";
import { fr, type Key } from "./fr";

export type Lang = "fr" | "en";
export type Params = Record<string, string | number>;
export type Translate = (key: Key, params?: Params) => string;

const STORE = "frigo.lang";
const DICTIONARIES: Record<Lang, Record<Key, string>> = { fr, en };

let active: Lang = readText(STORE) === "en" ? "en" : "fr";

export const currentLang = (): Lang => active;

/** French spacing: a no-break space before high punctuation and inside guillemets. */
export function typeset(text: string): string {
  return text.replace(/ (?=[:;!?»%])/g, "\u00a0").replace(/« /g, "«\u00a0");
}

/**
 * Text of `key` in `lang`, with {name} replaced. "one|several" forms are chosen by params.n;
 * French says 0 and 1 alike, English only 1.
 */
export function lookup(lang: Lang, key: Key, params: Params = {}): string {
  let text = DICTIONARIES[lang][key];
  if (text.includes("|") && typeof params["n"] === "number") {
    const [one = "", several = ""] = text.split("|");
    const singular = lang === "fr" ? Math.abs(params["n"]) < 2 : params["n"] === 1;
    text = singular ? one : several;
  }
  const typed = lang === "fr" ? typeset(text) : text;
  return typed.replace(/\{(\w+)\}/g, (whole, name: string) => (name in params ? String(params[name]) : whole));
}

/** For code outside of React (errors of the HTTP client). */
export const translate: Translate = (key, params) => lookup(active, key, params);

interface I18n {
  lang: Lang;
  t: Translate;
  setLang: (lang: Lang) => void;
}

const Context = createContext<I18n | null>(null);

export function I18nProvider({ children }: { children: ReactNode }) {
  const [lang, setState] = useState<Lang>(active);
  const setLang = useCallback((next: Lang) => {
    active = next;
    writeText(STORE, next);
    setState(next);
  }, []);
  useEffect(() => {
    document.documentElement.lang = lang;
  }, [lang]);
  const value = useMemo<I18n>(
    () => ({ lang, setLang, t: (key, params) => lookup(lang, key, params) }),
    [lang, setLang],
  );
  return <Context value={value}>{children}</Context>;
}

export function useI18n(): I18n {
  const value = useContext(Context);
  if (!value) throw new Error("useI18n outside of I18nProvider");
  return value;
}

import { useCallback, useEffect, useRef, useState } from "react";
import { translate, useI18n } from "../i18n";
import { isAbort, messageOf } from "./api";

/** Sets « Page · Frigo » as the document's title. */
export function useTitle(title: string): void {
  useEffect(() => {
    document.title = title ? `${title} · Frigo` : "Frigo";
  }, [title]);
}

export interface Polled<T> {
  data: T | null;
  error: Error | null;
  refresh: () => void;
  set: (data: T) => void;
}

/**
 * Call `load` now and then again `delay(data, error)` milliseconds after each answer; null stops.
 * Pauses while the tab is hidden and asks again at once when it comes back.
 */
export function usePolling<T>(
  load: (signal: AbortSignal) => Promise<T>,
  delay: (data: T | null, error: Error | null) => number | null,
  deps: readonly unknown[],
): Polled<T> {
  const [state, setState] = useState<{ data: T | null; error: Error | null }>({ data: null, error: null });
  const [turn, setTurn] = useState(0);
  const latest = useRef({ load, delay });
  latest.current = { load, delay };

  useEffect(() => {
    const controller = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    let last: T | null = null;

    const schedule = (data: T | null, error: Error | null): void => {
      const ms = latest.current.delay(data, error);
      if (ms !== null && !controller.signal.aborted) timer = setTimeout(tick, ms);
    };
    const tick = (): void => {
      if (document.hidden) return;
      latest.current.load(controller.signal).then(
        (data) => {
          if (controller.signal.aborted) return;
          last = data;
          setState({ data, error: null });
          schedule(data, null);
        },
        (reason: unknown) => {
          if (controller.signal.aborted || isAbort(reason)) return;
          const error = reason instanceof Error ? reason : new Error(translate("error.unexpected"));
          setState((old) => ({ data: old.data, error }));
          schedule(last, error);
        },
      );
    };
    const onVisible = (): void => {
      if (!document.hidden) {
        clearTimeout(timer);
        tick();
      }
    };
    tick();
    document.addEventListener("visibilitychange", onVisible);
    return () => {
      controller.abort();
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", onVisible);
    };
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [turn, ...deps]);

  const refresh = useCallback(() => setTurn((n) => n + 1), []);
  const set = useCallback((data: T) => setState({ data, error: null }), []);
  return { ...state, refresh, set };
}

/** Whether the dark scheme is on, whatever chose it. */
export function useDark(): boolean {
  const [dark, setDark] = useState(() => document.documentElement.dataset["theme"] === "dark");
  useEffect(() => {
    const observer = new MutationObserver(() => setDark(document.documentElement.dataset["theme"] === "dark"));
    observer.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    setDark(document.documentElement.dataset["theme"] === "dark");
    return () => observer.disconnect();
  }, []);
  return dark;
}

export function useCopy(): { copied: boolean; copy: (text: string) => void } {
  const [copied, setCopied] = useState(false);
  useI18n();
  useEffect(() => {
    if (!copied) return undefined;
    const timer = setTimeout(() => setCopied(false), 1800);
    return () => clearTimeout(timer);
  }, [copied]);
  const copy = useCallback((text: string) => {
    void copyText(text).then(setCopied);
  }, []);
  return { copied, copy };
}

/** The clipboard API needs HTTPS or localhost; on a plain http:// address of the LAN the old way still works. */
async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "visually-hidden";
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

export interface Act {
  /** What is being asked now. */
  busy: string | null;
  /** Why the last thing asked was refused. */
  problem: string;
  /** Ask `work`, called `name` in `busy`; true when it was accepted. */
  run: (name: string, work: () => Promise<unknown>) => Promise<boolean>;
  forget: () => void;
}

/** Something a person asks of the server: one at a time, its refusal shown where it was asked. */
export function useAct(): Act {
  const [busy, setBusy] = useState<string | null>(null);
  const [problem, setProblem] = useState("");
  const run = useCallback(async (name: string, work: () => Promise<unknown>): Promise<boolean> => {
    setProblem("");
    setBusy(name);
    try {
      await work();
      return true;
    } catch (reason) {
      setProblem(messageOf(reason));
      return false;
    } finally {
      setBusy(null);
    }
  }, []);
  const forget = useCallback(() => setProblem(""), []);
  return { busy, problem, run, forget };
}

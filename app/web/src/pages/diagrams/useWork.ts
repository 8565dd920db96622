import { useCallback, useEffect, useRef, useState } from "react";
import { isAbort, messageOf, request } from "../../lib/api";
import { withPatience, type Wait } from "../../lib/completion";
import {
  askOf,
  carried,
  currentOf,
  loadWork,
  NEW_WORK,
  saveWork,
  withVersion,
  type Version,
  type Work,
} from "../../lib/drawing";
import type { Diagram, Verdict } from "../../lib/types";

const SAVE_MS = 500;

export interface Problem {
  of: "draw" | "refine";
  message: string;
}

export interface Drawing {
  work: Work;
  set: (fields: Partial<Work>) => void;
  busy: "draw" | "refine" | null;
  wait: Wait | null;
  problem: Problem | null;
  stopped: boolean;
  /** The browser has no room for the work. */
  full: boolean;
  draw: () => Promise<boolean>;
  refine: (said: string) => Promise<boolean>;
  keepDraft: (verdict: Verdict) => void;
  stop: () => void;
  clear: () => void;
}

const newId = (): string => `${Date.now().toString(36)}${Math.random().toString(36).slice(2, 8)}`;

/** The work of the page, kept in the browser, and what is asked of the server for it: one thing at a time. */
export function useWork(): Drawing {
  const [work, setWork] = useState<Work>(loadWork);
  const [busy, setBusy] = useState<Drawing["busy"]>(null);
  const [wait, setWait] = useState<Wait | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [stopped, setStopped] = useState(false);
  const [full, setFull] = useState(false);
  const abort = useRef<AbortController | null>(null);
  const latest = useRef(work);
  latest.current = work;

  useEffect(() => {
    const timer = setTimeout(() => setFull(!saveWork(work)), SAVE_MS);
    return () => clearTimeout(timer);
  }, [work]);
  useEffect(() => {
    const save = (): void => void saveWork(latest.current);
    window.addEventListener("pagehide", save);
    return () => {
      window.removeEventListener("pagehide", save);
      abort.current?.abort();
      save();
    };
  }, []);

  const set = useCallback((fields: Partial<Work>) => setWork((old) => ({ ...old, ...fields })), []);

  const ask = useCallback(
    async (of: "draw" | "refine", json: unknown, keep: (diagram: Diagram) => Omit<Version, "id" | "made">) => {
      abort.current?.abort();
      const controller = new AbortController();
      abort.current = controller;
      setBusy(of);
      setProblem(null);
      setStopped(false);
      try {
        const options = { method: "POST", json, signal: controller.signal };
        const diagram = await withPatience(
          () => request<Diagram>("/api/diagrams", options),
          setWait,
          controller.signal,
        );
        const version = { ...keep(diagram), id: newId(), made: Date.now() };
        setWork((old) => withVersion(old, version));
        return true;
      } catch (reason) {
        if (isAbort(reason)) setStopped(abort.current === controller);
        else setProblem({ of, message: messageOf(reason) });
        return false;
      } finally {
        if (abort.current === controller) {
          abort.current = null;
          setBusy(null);
          setWait(null);
        }
      }
    },
    [],
  );

  const draw = useCallback(async () => {
    const asked = latest.current;
    const json = askOf(asked);
    if (!json) return false;
    return ask("draw", json, (diagram) => ({
      from: currentOf(asked)?.id ?? null,
      by: "draw",
      said: "",
      diagram,
      source: diagram.text ?? asked.text,
    }));
  }, [ask]);

  const refine = useCallback(
    async (said: string) => {
      const current = currentOf(latest.current);
      if (!current) return false;
      const { language, model } = latest.current;
      const json = {
        mermaid: current.diagram.mermaid,
        instruction: said,
        ...(current.source ? { text: current.source } : {}),
        ...(language ? { language } : {}),
        ...(model === "default" ? {} : { model }),
      };
      return ask("refine", json, (diagram) => ({
        from: current.id,
        by: "refine",
        said,
        diagram: diagram.graph
          ? diagram
          : { ...diagram, graph: carried(current.diagram.graph, diagram.mermaid) ?? null },
        source: current.source,
      }));
    },
    [ask],
  );

  const keepDraft = useCallback((verdict: Verdict) => {
    setWork((old) => {
      if (old.draft === null) return old;
      const current = currentOf(old);
      const diagram: Diagram = {
        mermaid: old.draft,
        valid: verdict.valid,
        ...(verdict.kind ? { kind: verdict.kind } : {}),
        graph: carried(current?.diagram.graph, old.draft) ?? null,
        model: null,
      };
      return withVersion(old, {
        id: newId(),
        from: current?.id ?? null,
        by: "hand",
        said: "",
        made: Date.now(),
        diagram,
        source: current?.source ?? "",
      });
    });
  }, []);

  const stop = useCallback(() => abort.current?.abort(), []);
  const clear = useCallback(() => {
    abort.current?.abort();
    setProblem(null);
    setWork(NEW_WORK);
  }, []);

  return { work, set, busy, wait, problem, stopped, full, draw, refine, keepDraft, stop, clear };
}

import { useEffect, useState } from "react";
import { isAbort, messageOf, request } from "../../lib/api";
import type { Verdict } from "../../lib/types";

const QUIET_MS = 350;

export interface Check {
  /** The text that the verdict is about: the one before, while a new one is awaited. */
  text: string;
  verdict: Verdict | null;
  waiting: boolean;
  problem: string;
}

const NOTHING: Check = { text: "", verdict: null, waiting: false, problem: "" };

/** What the server's parser says of `text`, asked each time that its writer pauses; null asks nothing. */
export function useVerdict(text: string | null): Check {
  const [check, setCheck] = useState<Check>(NOTHING);
  useEffect(() => {
    if (text === null || !text.trim()) {
      setCheck(NOTHING);
      return undefined;
    }
    const controller = new AbortController();
    setCheck((old) => ({ ...old, waiting: true }));
    const timer = setTimeout(() => {
      request<Verdict>("/api/diagrams/validate", { method: "POST", json: { mermaid: text }, signal: controller.signal })
        .then((verdict) => setCheck({ text, verdict, waiting: false, problem: "" }))
        .catch((reason: unknown) => {
          if (!isAbort(reason)) setCheck((old) => ({ ...old, waiting: false, problem: messageOf(reason) }));
        });
    }, QUIET_MS);
    return () => {
      clearTimeout(timer);
      controller.abort();
    };
  }, [text]);
  return check;
}

import { useCallback, useEffect, useMemo, useState } from "react";
import type { Conversations, ServerTool } from "../../lib/conversations";
import { readText, writeText } from "../../lib/storage";

const STORE = "frigo.tools";

export interface Tools {
  /** Empty while they are not known. */
  all: readonly ServerTool[];
  /** Names of those that are on and can run. */
  on: readonly string[];
  toggle: (name: string) => void;
}

/** The tools of the server, and which of them a model may use; the choice stays in this browser. */
export function useTools(api: Conversations): Tools {
  const [all, setAll] = useState<readonly ServerTool[]>([]);
  const [chosen, setChosen] = useState<readonly string[]>(() => (readText(STORE) ?? "").split(",").filter(Boolean));
  useEffect(() => {
    const controller = new AbortController();
    api.tools(controller.signal).then(setAll, () => undefined); // without tools, the page does without
    return () => controller.abort();
  }, [api]);
  const on = useMemo(
    () => all.filter(({ name, available }) => available && chosen.includes(name)).map(({ name }) => name),
    [all, chosen],
  );
  const toggle = useCallback((name: string) => {
    setChosen((old) => {
      const next = old.includes(name) ? old.filter((one) => one !== name) : [...old, name];
      writeText(STORE, next.join(",") || null);
      return next;
    });
  }, []);
  return { all, on, toggle };
}

import { useCallback, useEffect, useRef, useState } from "react";
import { translate } from "../../i18n";
import { isAbort } from "../../lib/api";
import type { ConversationSummary } from "../../lib/chats";
import type { Conversations } from "../../lib/conversations";

const TYPING_MS = 250;

export interface ConversationsList {
  items: readonly ConversationSummary[];
  /** null until the first answer. */
  known: boolean;
  more: boolean;
  loading: boolean;
  error: Error | null;
  query: string;
  search: (query: string) => void;
  /** Read it again from its beginning. */
  refresh: () => void;
  /** The page after those that are shown. */
  next: () => void;
  /** What was learnt of a conversation; it comes first when it is new, or `moved`. */
  put: (conversation: Partial<ConversationSummary> & { id: string }, moved?: boolean) => void;
  drop: (id: string) => void;
}

/** The conversations that the server keeps, page by page, for the words that are searched. */
export function useConversations(api: Conversations, onRead: (error: Error | null) => void): ConversationsList {
  const [state, setState] = useState({ items: [] as readonly ConversationSummary[], more: false, known: false });
  const [loading, setLoading] = useState(false);
  const [error, setError] = useState<Error | null>(null);
  const [query, search] = useState("");
  const [turn, setTurn] = useState(0);
  const read = useRef(onRead);
  read.current = onRead;
  const asked = useRef({ query: "", api });

  const fail = useCallback((reason: unknown): void => {
    if (isAbort(reason)) return;
    const problem = reason instanceof Error ? reason : new Error(translate("error.unexpected"));
    setError(problem);
    read.current(problem);
  }, []);

  useEffect(() => {
    const controller = new AbortController();
    const typed = asked.current.query !== query;
    asked.current = { query, api };
    const timer = setTimeout(
      () => {
        setLoading(true);
        api
          .list(query.trim(), null, controller.signal)
          .then(({ conversations, has_more }) => {
            setState({ items: conversations, more: has_more, known: true });
            setError(null);
            read.current(null);
          })
          .catch(fail)
          .finally(() => !controller.signal.aborted && setLoading(false));
      },
      typed ? TYPING_MS : 0,
    );
    return () => {
      clearTimeout(timer);
      controller.abort();
    };
  }, [api, query, turn, fail]);

  const last = state.items.at(-1)?.id ?? null;
  const next = useCallback(() => {
    if (!last || loading) return;
    setLoading(true);
    api
      .list(asked.current.query.trim(), last)
      .then(({ conversations, has_more }) =>
        setState((old) => {
          const there = new Set(old.items.map(({ id }) => id));
          return { ...old, items: [...old.items, ...conversations.filter(({ id }) => !there.has(id))], more: has_more };
        }),
      )
      .catch(fail)
      .finally(() => setLoading(false));
  }, [api, last, loading, fail]);

  const put = useCallback((changed: Partial<ConversationSummary> & { id: string }, moved = false) => {
    setState((old) => {
      const known = old.items.find(({ id }) => id === changed.id);
      if (!known && !moved) return old;
      const blank = { title: "", model: null, created_at: "", updated_at: "", messages: 0 };
      const whole: ConversationSummary = { ...(known ?? blank), ...changed };
      if (!moved) return { ...old, items: old.items.map((one) => (one.id === changed.id ? whole : one)) };
      return { ...old, items: [whole, ...old.items.filter(({ id }) => id !== changed.id)] };
    });
  }, []);
  const drop = useCallback((id: string) => {
    setState((old) => ({ ...old, items: old.items.filter((one) => one.id !== id) }));
  }, []);
  const refresh = useCallback(() => setTurn((n) => n + 1), []);
  return { ...state, loading, error, query, search, refresh, next, put, drop };
}

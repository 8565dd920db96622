import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { useLocation, useSearch } from "wouter";
import { translate } from "../../i18n";
import { isAbort, messageOf, RequestError } from "../../lib/api";
import { API_KEY_STORE } from "../../lib/apiKey";
import { branchOf, isLocal, latestLeaf, versionsOf, type ChatMessage, type WholeConversation } from "../../lib/chats";
import { grown, type Wait } from "../../lib/completion";
import { conversationsOf, importOld, type Turn } from "../../lib/conversations";
import { readText, writeText } from "../../lib/storage";
import { attend, blank, drawInto, stopped, storedQuestion, talk, type Place } from "./answering";
import { useConversations, type ConversationsList } from "./useConversations";
import { useTools, type Tools } from "./useTools";

const MODEL_STORE = "frigo.model";
const LOOK_MS = 1000;

export interface Chat {
  list: ConversationsList;
  tools: Tools;
  /** The conversation that is open; null: a new one, or `loading`. */
  current: WholeConversation | null;
  /** The branch of it that is read. */
  branch: readonly ChatMessage[];
  versions: ReadonlyMap<string, readonly ChatMessage[]>;
  id: string | null;
  loading: boolean;
  problem: Error | null;
  /** The conversation whose answer is being written here. */
  busy: string | null;
  wait: Wait | null;
  keyNeeded: "no" | "missing" | "wrong";
  apiKey: string | null;
  model: string;
  open: (id: string | null) => void;
  reload: () => void;
  rename: (id: string, title: string) => Promise<void>;
  remove: (id: string) => Promise<void>;
  removeAll: () => Promise<void>;
  file: (id: string, kind: "md" | "json") => Promise<string>;
  /** False when it could not even be handed over: the text is to be given back to who wrote it. */
  send: (text: string, draw: boolean) => Promise<boolean>;
  /** Ask a question again, in other words: another branch. */
  edit: (message: ChatMessage, text: string) => void;
  /** Answer a question again; none: the last one. */
  regenerate: (question?: ChatMessage) => void;
  /** Read the branch of another version of a message. */
  turnTo: (message: ChatMessage) => void;
  stop: () => void;
  setModel: (model: string) => void;
  setKey: (key: string | null) => void;
  dismissKey: () => void;
}

/** The conversations that the server keeps, and the answer being written into one of them. */
export function useChat(): Chat {
  const [, navigate] = useLocation();
  const id = new URLSearchParams(useSearch()).get("c");
  const [apiKey, setKeyState] = useState<string | null>(() => readText(API_KEY_STORE));
  const [keyNeeded, setKeyNeeded] = useState<Chat["keyNeeded"]>("no");
  const [model, setModelState] = useState(() => readText(MODEL_STORE) ?? "default");
  const [current, setCurrent] = useState<WholeConversation | null>(null);
  const [problem, setProblem] = useState<Error | null>(null);
  const [busy, setBusy] = useState<string | null>(null);
  const [wait, setWait] = useState<Wait | null>(null);
  const [look, setLook] = useState(0);
  const api = useMemo(() => conversationsOf(apiKey), [apiKey]);
  const abort = useRef<AbortController | null>(null);
  /** The conversation being answered: it goes on when another one is looked at. */
  const live = useRef<WholeConversation | null>(null);
  const shownId = useRef(id);
  shownId.current = id;
  const refused = useCallback(
    (error: unknown) => {
      if (error instanceof RequestError && error.status === 401) setKeyNeeded(apiKey ? "wrong" : "missing");
    },
    [apiKey],
  );
  // Whether a key is right is known once the list was asked with it: until then the question stays.
  const list = useConversations(api, (error) => {
    if (error instanceof RequestError && error.status === 401) refused(error);
    else setKeyNeeded("no");
  });
  const tools = useTools(api);
  const state = useRef({ current, model, tools, api, apiKey, problem });
  state.current = { current, model, tools, api, apiKey, problem };
  const { put, drop, refresh } = list;

  useEffect(() => () => abort.current?.abort(), []);

  // What the browser kept goes to the server, once.
  const imported = useRef(false);
  useEffect(() => {
    if (!list.known || imported.current) return;
    imported.current = true;
    const work = async (): Promise<void> => {
      if (await importOld(api)) refresh();
    };
    // Two pages at once would each hand it over.
    if ("locks" in navigator) void navigator.locks.request("frigo.import", work);
    else void work();
  }, [list.known, api, refresh]);

  useEffect(() => {
    setProblem(null);
    if (id === null) {
      setCurrent(null);
      return undefined;
    }
    if (live.current?.id === id) {
      setCurrent(live.current);
      return undefined;
    }
    setCurrent((old) => (old?.id === id ? old : null));
    const controller = new AbortController();
    api.get(id, controller.signal).then(
      (found) => {
        if (live.current?.id === id) return;
        setCurrent((old) => {
          if (old?.id !== id && found.model) setModelState(found.model);
          return found;
        });
      },
      (error: unknown) => {
        if (isAbort(error)) return;
        refused(error);
        setProblem(error instanceof Error ? error : new Error(translate("error.unexpected")));
      },
    );
    return () => controller.abort();
  }, [id, api, look, refused]);

  const open = useCallback(
    (next: string | null) => navigate(next === null ? "/discussion" : `/discussion?c=${encodeURIComponent(next)}`),
    [navigate],
  );

  const change = useCallback((edit: (conversation: WholeConversation) => WholeConversation) => {
    if (!live.current) return;
    live.current = edit(live.current);
    if (shownId.current === live.current.id) setCurrent(live.current);
  }, []);

  /** Put a message where another one is, which it may have been until now. */
  const replace = useCallback(
    (old: string, message: ChatMessage) =>
      change((all) => ({
        ...all,
        current: all.current === old ? message.id : all.current,
        messages: all.messages.map((m) => (m.id === old ? message : m)),
      })),
    [change],
  );

  // An answer that the server writes without this page: for another one, or for this one before it was loaded again.
  const last = current ? branchOf(current.messages, current.current).at(-1) : undefined;
  const elsewhere = busy === null && last?.state === "writing" && !isLocal(last.id) ? last.id : undefined;
  const following = useRef(false);
  useEffect(() => {
    const whole = state.current.current;
    if (elsewhere === undefined || !whole || abort.current) return;
    const controller = new AbortController();
    const known = (): ChatMessage | undefined => live.current?.messages.find((m) => m.id === elsewhere);
    const done = (): void => {
      abort.current = null;
      following.current = false;
      live.current = null;
      setBusy(null);
    };
    abort.current = controller;
    following.current = true;
    live.current = whole;
    setBusy(whole.id);
    attend(state.current.api, whole.id, elsewhere, controller.signal, (parts) => {
      const message = known();
      if (message) replace(elsewhere, parts.reduce(grown, message));
    }).then(done, (error: unknown) => {
      const gone = error instanceof RequestError && error.status >= 400 && error.status < 500;
      if (!gone && !controller.signal.aborted) {
        setTimeout(done, LOOK_MS); // then it is followed again
        return;
      }
      const message = known();
      if (message) replace(elsewhere, { ...message, state: "unfinished" });
      done();
      refused(error);
    });
  }, [elsewhere, replace, refused]);
  // Who looks at another conversation may ask there: what the server writes goes on by itself.
  useEffect(() => {
    if (following.current && live.current?.id !== id) abort.current?.abort();
  }, [id]);

  /** Answer at a place of a conversation (null: a new one). */
  const answer = useCallback(
    async (conversation: WholeConversation | null, place: Place): Promise<boolean> => {
      if (abort.current) return false;
      const controller = new AbortController();
      const { signal } = controller;
      abort.current = controller;
      const { model: chosen, tools: switched, api: server, apiKey: key } = state.current;
      const drawn = place.draw ? { tool: "draw" as const } : {};
      let question = place.question ?? { ...blank("user", place.parent), content: place.content, ...drawn };
      let reply: ChatMessage = {
        ...blank("assistant", question.id),
        state: "writing",
        ...drawn,
        ...(chosen === "default" ? {} : { asked_model: chosen }),
      };
      const tell = (asked: ChatMessage, answered: ChatMessage): void => {
        replace(question.id, asked);
        replace(reply.id, answered);
        question = asked;
        reply = answered;
      };
      try {
        setBusy(conversation?.id ?? "");
        const whole = conversation ?? (await server.create({}));
        const { id: target } = whole;
        setBusy(target);
        live.current = {
          ...whole,
          current: reply.id,
          messages: place.question ? [...whole.messages, reply] : [...whole.messages, question, reply],
        };
        setCurrent((old) => (conversation && old?.id !== target ? old : live.current));
        if (!conversation) {
          put({ ...whole, messages: 0 }, true);
          shownId.current = target;
          open(target);
        }
        if (place.draw) {
          const made = await drawInto(server, target, place, question, chosen, key, signal, setWait, (kept) =>
            tell(kept, { ...reply, parent_id: kept.id }),
          );
          tell(question, made);
          const { messages, ...told } = await server.get(target, signal);
          put({ ...told, messages: messages.length }, true);
          change((all) => ({ ...all, title: told.title }));
          return true;
        }
        const asked = isLocal(question.id)
          ? { content: place.content, parent_id: place.parent }
          : { parent_id: question.id };
        const tools = switched.on.map((name) => ({ type: "frigo" as const, name }));
        const turn: Turn = { ...asked, model: chosen, ...(tools.length ? { tools } : {}) };
        await talk(server, target, turn, signal, setWait, (parts) => {
          const begun = parts.find((part) => part.begun)?.begun;
          if (begun) {
            const { title, model: used } = begun.conversation;
            put(begun.conversation, true);
            change((all) => ({ ...all, title, model: used }));
          }
          const from = begun ? { ...reply, ...begun.answer } : reply;
          tell(begun?.question ?? question, parts.reduce(grown, from));
        });
        tell(question, { ...reply, state: "done" });
        return true;
      } catch (error) {
        const stored = storedQuestion(error);
        const asked = stored ? { ...question, id: stored } : question;
        const left = isAbort(error);
        tell(asked, {
          ...reply,
          parent_id: asked.id,
          ...(left ? { state: "unfinished" } : { state: "failed", error: { message: messageOf(error) } }),
        });
        if (!live.current && !left) setProblem(error instanceof Error ? error : null);
        refused(error);
        // Stopped before the server told the ids: it has the question all the same.
        if (left && isLocal(asked.id)) setTimeout(() => setLook((n) => n + 1), LOOK_MS);
        return live.current !== null;
      } finally {
        abort.current = null;
        live.current = null;
        setBusy(null);
        setWait(null);
      }
    },
    [change, replace, open, put, refused],
  );

  const send = useCallback(
    async (text: string, draw: boolean) => {
      const content = text.trim();
      if (!content) return true;
      const { current: whole, problem: unread } = state.current;
      if (!whole && shownId.current !== null && !unread) return false; // it is being opened
      const last = whole ? branchOf(whole.messages, whole.current).findLast((m) => !isLocal(m.id)) : undefined;
      return answer(whole, { content, parent: last?.id ?? null, draw });
    },
    [answer],
  );

  const edit = useCallback(
    (message: ChatMessage, text: string) => {
      const content = text.trim();
      const whole = state.current.current;
      if (content && whole) void answer(whole, { content, parent: message.parent_id, draw: message.tool === "draw" });
    },
    [answer],
  );

  const regenerate = useCallback(
    (question?: ChatMessage) => {
      const whole = state.current.current;
      if (!whole) return;
      const asked = question ?? branchOf(whole.messages, whole.current).findLast(({ role }) => role === "user");
      if (!asked) return;
      // Answers that only this page has make room for the next one.
      const kept = whole.messages.filter((m) => !(m.role === "assistant" && isLocal(m.id)));
      const place = { content: asked.content, parent: asked.parent_id, draw: asked.tool === "draw" };
      if (isLocal(asked.id)) {
        void answer({ ...whole, messages: kept.filter((m) => m.id !== asked.id) }, place);
      } else void answer({ ...whole, messages: kept }, { ...place, question: asked });
    },
    [answer],
  );

  const turnTo = useCallback(
    (message: ChatMessage) => {
      const whole = state.current.current;
      if (!whole || abort.current) return;
      const leaf = latestLeaf(whole.messages, message.id);
      setCurrent({ ...whole, current: leaf });
      if (!isLocal(leaf)) state.current.api.change(whole.id, { current: leaf }).catch(refused);
    },
    [refused],
  );

  const rename = useCallback(
    async (target: string, title: string) => {
      const changed = await state.current.api.change(target, { title });
      put({ id: target, title: changed.title });
      setCurrent((old) => (old?.id === target ? { ...old, title: changed.title } : old));
    },
    [put],
  );
  const remove = useCallback(
    async (target: string) => {
      await state.current.api.remove(target);
      drop(target);
      if (shownId.current === target) open(null);
    },
    [drop, open],
  );
  const removeAll = useCallback(async () => {
    await state.current.api.clear();
    open(null);
    refresh();
  }, [open, refresh]);
  const file = useCallback((target: string, kind: "md" | "json") => state.current.api.file(target, kind), []);
  const stop = useCallback(() => {
    const target = live.current?.id;
    abort.current?.abort();
    if (!target) return;
    // Leaving an answer does not stop it.
    void stopped(state.current.api, target)
      .catch(refused)
      .then(() => setLook((n) => n + 1));
  }, [refused]);
  const reload = useCallback(() => setLook((n) => n + 1), []);
  const setModel = useCallback((next: string) => {
    writeText(MODEL_STORE, next);
    setModelState(next);
    const whole = state.current.current;
    if (whole) void state.current.api.change(whole.id, { model: next }).catch(() => undefined);
  }, []);
  const setKey = useCallback(
    (key: string | null) => {
      writeText(API_KEY_STORE, key);
      setKeyState(key);
      refresh();
    },
    [refresh],
  );
  const dismissKey = useCallback(() => setKeyNeeded("no"), []);

  const branch = useMemo(() => (current ? branchOf(current.messages, current.current) : []), [current]);
  const versions = useMemo(() => versionsOf(current?.messages ?? []), [current]);
  const loading = id !== null && current === null && problem === null;
  return {
    ...{ list, tools, current, branch, versions, id, loading, problem, busy, wait, keyNeeded, apiKey, model },
    ...{ open, reload, rename, remove, removeAll, file, send, edit, regenerate, turnTo, stop },
    ...{ setModel, setKey, dismissKey },
  };
}


import { useCallback, useEffect, useRef, useState } from "react";
import { currentLang, translate } from "../../i18n";
import { isAbort, messageOf, request, RequestError } from "../../lib/api";
import {
  loadConversations,
  newId,
  saveConversations,
  shorten,
  titleFrom,
  turnsOf,
  type Conversation,
  type Message,
} from "../../lib/chats";
import { authorization, streamCompletion, withPatience, type ChatTurn, type Wait } from "../../lib/completion";
import { readText, writeText } from "../../lib/storage";
import type { Diagram } from "../../lib/types";

const KEY_STORE = "frigo.apiKey";
const MODEL_STORE = "frigo.model";
const SAVE_MS = 800;

export interface Chat {
  conversations: Conversation[];
  current: Conversation | null;
  /** The conversation whose answer is being written. */
  busy: string | null;
  wait: Wait | null;
  full: boolean;
  keyNeeded: "no" | "missing" | "wrong";
  apiKey: string | null;
  model: string;
  open: (id: string | null) => void;
  remove: (id: string) => void;
  send: (text: string, draw: boolean) => void;
  regenerate: () => void;
  stop: () => void;
  setModel: (model: string) => void;
  setKey: (key: string | null) => void;
  dismissKey: () => void;
  askKey: () => void;
}

/** Conversations, kept in the browser, and the answer being streamed into one of them. */
export function useChat(): Chat {
  const [conversations, setConversations] = useState<Conversation[]>(loadConversations);
  const [currentId, setCurrentId] = useState<string | null>(null);
  const [busy, setBusy] = useState<string | null>(null);
  const [wait, setWait] = useState<Wait | null>(null);
  const [full, setFull] = useState(false);
  const [apiKey, setKeyState] = useState<string | null>(() => readText(KEY_STORE));
  const [keyNeeded, setKeyNeeded] = useState<Chat["keyNeeded"]>("no");
  const [model, setModelState] = useState(() => readText(MODEL_STORE) ?? "default");
  const abort = useRef<AbortController | null>(null);
  const state = useRef({ conversations, apiKey, model });
  state.current = { conversations, apiKey, model };
  const current = conversations.find(({ id }) => id === currentId) ?? null;

  useEffect(() => {
    const timer = setTimeout(() => setFull(!saveConversations(conversations)), SAVE_MS);
    return () => clearTimeout(timer);
  }, [conversations]);
  useEffect(() => {
    const save = (): void => void saveConversations(state.current.conversations);
    window.addEventListener("pagehide", save);
    return () => {
      window.removeEventListener("pagehide", save);
      abort.current?.abort();
      save();
    };
  }, []);

  const change = useCallback((id: string, edit: (messages: Message[]) => Message[]) => {
    setConversations((all) => all.map((c) => (c.id === id ? { ...c, messages: edit(c.messages) } : c)));
  }, []);

  /** Answer the last message of `history`, into conversation `id`. */
  const answer = useCallback(
    async (id: string, history: Message[]): Promise<void> => {
      const question = history.at(-1);
      if (!question) return;
      const controller = new AbortController();
      abort.current = controller;
      setBusy(id);
      const reply: Message = { id: newId(), role: "assistant", content: "" };
      if (question.tool) reply.tool = question.tool;
      if (state.current.model !== "default") reply.asked = state.current.model;
      const patch = (fields: Partial<Message>): void => {
        Object.assign(reply, fields);
        const copy = { ...reply };
        change(id, (messages) => messages.map((m) => (m.id === reply.id ? copy : m)));
      };
      change(id, () => [...history, { ...reply }]);
      const { apiKey: key, model: chosen } = state.current;
      try {
        if (question.tool === "draw") {
          const diagram = await withPatience(
            () => drawDiagram(question.content, chosen, key, controller.signal),
            setWait,
            controller.signal,
          );
          const steps = diagram.graph?.nodes?.length;
          patch({
            diagram,
            content: steps ? translate("chat.drawn", { n: steps }) : translate("chat.drawnPlain"),
            ...(diagram.model ? { model: diagram.model } : {}),
          });
        } else {
          await talk(turnsOf(history), chosen, key, controller.signal, patch, setWait, () => reply.content);
        }
      } catch (error) {
        if (isAbort(error)) patch({ end: "stopped" });
        else {
          patch({ end: "error", error: messageOf(error) });
          if (error instanceof RequestError && error.status === 401) setKeyNeeded(key ? "wrong" : "missing");
        }
      } finally {
        if (abort.current === controller) {
          abort.current = null;
          setBusy(null);
          setWait(null);
        }
      }
    },
    [change],
  );

  const send = useCallback(
    (text: string, draw: boolean) => {
      const content = text.trim();
      if (!content || abort.current) return;
      const message: Message = { id: newId(), role: "user", content, ...(draw ? { tool: "draw" as const } : {}) };
      const found = state.current.conversations.find(({ id }) => id === currentId);
      const id = found?.id ?? newId();
      const history = [...(found?.messages ?? []), message];
      const next: Conversation = {
        id,
        title: found?.title || titleFrom(content),
        updated: Date.now(),
        messages: history,
      };
      setConversations((all) => [next, ...all.filter((c) => c.id !== id)]);
      setCurrentId(id);
      void answer(id, history);
    },
    [answer, currentId],
  );

  const regenerate = useCallback(() => {
    const found = state.current.conversations.find(({ id }) => id === currentId);
    if (!found || abort.current) return;
    const last = found.messages.findLastIndex(({ role }) => role === "user");
    if (last >= 0) void answer(found.id, found.messages.slice(0, last + 1));
  }, [answer, currentId]);

  const stop = useCallback(() => abort.current?.abort(), []);
  const open = useCallback((id: string | null) => setCurrentId(id), []);
  const remove = useCallback((id: string) => {
    setConversations((all) => all.filter((c) => c.id !== id));
    setCurrentId((old) => (old === id ? null : old));
  }, []);
  const setModel = useCallback((next: string) => {
    writeText(MODEL_STORE, next);
    setModelState(next);
  }, []);
  const setKey = useCallback((key: string | null) => {
    writeText(KEY_STORE, key);
    setKeyState(key);
    setKeyNeeded("no");
  }, []);
  const dismissKey = useCallback(() => setKeyNeeded("no"), []);
  const askKey = useCallback(() => setKeyNeeded(state.current.apiKey ? "wrong" : "missing"), []);

  return {
    conversations,
    current,
    busy,
    wait,
    full,
    keyNeeded,
    apiKey,
    model,
    open,
    remove,
    send,
    regenerate,
    stop,
    setModel,
    setKey,
    dismissKey,
    askKey,
  };
}

const drawDiagram = (text: string, model: string, key: string | null, signal: AbortSignal): Promise<Diagram> =>
  request<Diagram>("/api/diagrams", {
    method: "POST",
    headers: authorization(key),
    signal,
    json: { text, language: currentLang(), ...(model === "default" ? {} : { model }) },
  });

async function talk(
  turns: ChatTurn[],
  model: string,
  key: string | null,
  signal: AbortSignal,
  patch: (fields: Partial<Message>) => void,
  onWait: (wait: Wait | null) => void,
  said: () => string,
): Promise<void> {
  for (let messages: ChatTurn[] | null = turns; messages;) {
    const attempt: ChatTurn[] = messages;
    try {
      await withPatience(
        async () => {
          for await (const part of streamCompletion(model, attempt, key, signal)) {
            if (part.model) patch({ model: part.model });
            if (part.text) patch({ content: said() + part.text });
            if (part.usage) patch({ usage: part.usage });
          }
        },
        onWait,
        signal,
        () => said() !== "",
      );
      return;
    } catch (error) {
      // A talk longer than the model's context goes on with its latest turns.
      messages = error instanceof RequestError && error.code === "context_length_exceeded" ? shorten(attempt) : null;
      if (!messages) throw error;
    }
  }
}

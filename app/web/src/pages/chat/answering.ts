import { currentLang, translate } from "../../i18n";
import { request, RequestError } from "../../lib/api";
import { isLocal, localId, type ChatMessage } from "../../lib/chats";
import { authorization, withPatience, type CompletionPart, type Wait } from "../../lib/completion";
import type { Conversations, Turn } from "../../lib/conversations";
import type { Diagram } from "../../lib/types";

const SHOWN_MS = 50;
const STOPS = 4;
const STOP_MS = 500;

/** Where a question is asked. */
export interface Place {
  /** The question, when it is there already. */
  question?: ChatMessage;
  content: string;
  parent: string | null;
  draw: boolean;
}

/** A message that is only in this page, for now. */
export const blank = (role: "user" | "assistant", parent: string | null): ChatMessage => ({
  id: localId(),
  parent_id: parent,
  role,
  content: "",
  model: null,
  state: "done",
  created_at: new Date().toISOString(),
});

/** The id under which the server kept the question that it could not answer. */
export const storedQuestion = (error: unknown): string | null =>
  error instanceof RequestError
    ? ((error.details["stored"] as { message_id?: string } | undefined)?.message_id ?? null)
    : null;

/** A drawing, asked and kept like a turn. */
export async function drawInto(
  server: Conversations,
  id: string,
  place: Place,
  asked: ChatMessage,
  model: string,
  key: string | null,
  signal: AbortSignal,
  onWait: (wait: Wait | null) => void,
  onKept: (question: ChatMessage) => void,
): Promise<ChatMessage> {
  let question = asked;
  if (isLocal(asked.id)) {
    const values = { role: "user", content: place.content, parent_id: place.parent, tool: "draw" } as const;
    question = await server.add(id, values, signal);
    onKept(question);
  }
  const json = { text: place.content, language: currentLang(), ...(model === "default" ? {} : { model }) };
  const ask = (): Promise<Diagram> =>
    request<Diagram>("/api/diagrams", { method: "POST", headers: authorization(key), signal, json });
  const diagram = await withPatience(ask, onWait, signal);
  const steps = diagram.graph?.nodes?.length;
  return server.add(id, {
    role: "assistant",
    content: steps ? translate("chat.drawn", { n: steps }) : translate("chat.drawnPlain"),
    parent_id: question.id,
    tool: "draw",
    diagram,
    ...(diagram.model ? { model: diagram.model } : {}),
  });
}

/** Hands parts over a few at a time. */
function paced(onParts: (parts: CompletionPart[]) => void) {
  let waiting: CompletionPart[] = [];
  let timer: ReturnType<typeof setTimeout> | undefined;
  const flush = (): void => {
    clearTimeout(timer);
    timer = undefined;
    if (waiting.length) onParts(waiting);
    waiting = [];
  };
  const push = (part: CompletionPart): void => {
    waiting.push(part);
    timer ??= setTimeout(flush, SHOWN_MS);
  };
  return { push, flush };
}

/** An answer that the server writes already. */
export async function attend(
  server: Conversations,
  id: string,
  message: string,
  signal: AbortSignal,
  onParts: (parts: CompletionPart[]) => void,
): Promise<void> {
  const { push, flush } = paced(onParts);
  try {
    for await (const part of server.follow(id, message, signal)) push(part);
  } finally {
    flush();
  }
}

/** Have the server end an answer, even one that it is only about to begin. */
export async function stopped(server: Conversations, id: string): Promise<void> {
  for (let left = STOPS; left > 0; left -= 1) {
    if ((await server.stop(id)).stopped > 0) return;
    await new Promise((resolve) => setTimeout(resolve, STOP_MS));
  }
}

/** A turn; asked again while a model or a service is on its way. */
export async function talk(
  server: Conversations,
  id: string,
  turn: Turn,
  signal: AbortSignal,
  onWait: (wait: Wait | null) => void,
  onParts: (parts: CompletionPart[]) => void,
): Promise<void> {
  let asked = turn;
  let begun = false;
  const { push, flush } = paced(onParts);
  try {
    await withPatience(
      async () => {
        try {
          for await (const part of server.turn(id, asked, signal)) {
            push(part);
            if (!begun) flush();
            begun = true;
          }
        } catch (error) {
          // The question is kept: it is not asked twice.
          const stored = storedQuestion(error);
          if (stored) {
            const { content: _content, ...rest } = asked;
            asked = { ...rest, parent_id: stored };
          }
          throw error;
        }
      },
      onWait,
      signal,
      () => begun,
    );
  } finally {
    flush();
  }
}

import { RequestError, request, send, type Options } from "./api";
import {
  fromOld,
  keepOld,
  oldConversations,
  type ChatMessage,
  type ConversationSummary,
  type NewConversation,
  type WholeConversation,
} from "./chats";
import { authorization, parseChunk, type CompletionPart } from "./completion";
import { readEvents } from "./sse";

/** A tool that the server can run for a model. */
export interface ServerTool {
  name: string;
  title: string;
  description: string;
  available: boolean;
  reason?: string | null;
}

export interface Page {
  conversations: ConversationSummary[];
  has_more: boolean;
}

/** What a turn asks: `content` and its place, or `parent_id` alone for another answer. */
export interface Turn {
  content?: string;
  parent_id?: string | null;
  model: string;
  tools?: { type: "frigo"; name: string }[];
}

const ROOT = "/api/conversations";
const at = (id: string, rest = ""): string => `${ROOT}/${encodeURIComponent(id)}${rest}`;

async function* parts(path: string, options: Options): AsyncGenerator<CompletionPart> {
  const response = await send(path, options);
  if (!response.body) throw new RequestError(response.status, "bad_answer", "");
  for await (const { data } of readEvents(response.body)) {
    const part = parseChunk(data);
    if (part === null) return;
    yield part;
  }
}

/** The calls about conversations, under a key. */
export function conversationsOf(key: string | null) {
  const headers = authorization(key);
  const ask = <T>(path: string, options: Options = {}): Promise<T> => request<T>(path, { ...options, headers });
  return {
    list: (q: string, after: string | null, signal?: AbortSignal): Promise<Page> => {
      const query = new URLSearchParams({ ...(q ? { q } : {}), ...(after ? { after } : {}) });
      return ask(query.size ? `${ROOT}?${query}` : ROOT, { signal });
    },
    get: (id: string, signal?: AbortSignal): Promise<WholeConversation> => ask(at(id), { signal }),
    create: (json: Partial<NewConversation> = {}): Promise<WholeConversation> => ask(ROOT, { method: "POST", json }),
    change: (id: string, json: { title?: string; model?: string; current?: string }): Promise<WholeConversation> =>
      ask(at(id), { method: "PATCH", json }),
    remove: (id: string): Promise<void> => ask(at(id), { method: "DELETE" }),
    clear: (): Promise<{ deleted: number }> => ask(ROOT, { method: "DELETE" }),
    add: (id: string, json: Partial<ChatMessage>, signal?: AbortSignal): Promise<ChatMessage> =>
      ask(at(id, "/messages"), { method: "POST", json, signal }),
    file: async (id: string, kind: "md" | "json"): Promise<string> =>
      (await send(at(id, `/export.${kind}`), { headers })).text(),
    tools: async (signal?: AbortSignal): Promise<ServerTool[]> =>
      (await ask<{ tools: ServerTool[] }>("/api/tools", { signal })).tools,
    /** End the answers that are being written, whoever reads them. */
    stop: (id: string): Promise<{ stopped: number }> => ask(at(id, "/stop"), { method: "POST" }),
    /** The answer to a turn, part by part. Leaving does not stop it. */
    turn: (id: string, json: Turn, signal: AbortSignal): AsyncGenerator<CompletionPart> =>
      parts(at(id, "/completions"), { method: "POST", headers, signal, json }),
    /** An answer that is being written: all of it, then what is new. */
    follow: (id: string, message: string, signal: AbortSignal): AsyncGenerator<CompletionPart> =>
      parts(at(id, `/messages/${encodeURIComponent(message)}/events`), { headers, signal }),
  };
}

export type Conversations = ReturnType<typeof conversationsOf>;

/** Hand over to the server what the browser kept, once; what it refuses stays here. True when anything was taken. */
export async function importOld(api: Pick<Conversations, "create">): Promise<boolean> {
  const found = oldConversations();
  const refused: typeof found = [];
  let taken = false;
  for (const [index, old] of [...found].reverse().entries()) {
    const wanted = fromOld(old);
    try {
      if (wanted.messages.length > 0) {
        await api.create(wanted);
        taken = true;
      }
    } catch (error) {
      refused.unshift(old);
      if (!(error instanceof RequestError) || error.status !== 400) {
        keepOld([...found.slice(0, found.length - index - 1), ...refused]);
        return taken; // the server is not there, or asks for a key: later
      }
    }
    keepOld([...found.slice(0, found.length - index - 1), ...refused]);
  }
  return taken;
}

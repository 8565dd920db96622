import { errorFrom, RequestError } from "./api";
import type { ChatMessage, ConversationSummary, ToolRun } from "./chats";
import type { Usage } from "./types";

/** How an answer begins: which messages it is about. */
export interface Begun {
  conversation: ConversationSummary;
  question: ChatMessage;
  answer: ChatMessage;
}

export interface CompletionPart {
  begun?: Begun;
  /** All of the answer, as the server has it now. */
  whole?: ChatMessage;
  text?: string;
  reasoning?: string;
  run?: ToolRun;
  model?: string;
  usage?: Usage;
  finish?: string;
}

interface Chunk extends Partial<Begun> {
  object?: string;
  model?: string;
  choices?: {
    delta?: { content?: string | null; reasoning_content?: string | null; tool_run?: ToolRun };
    finish_reason?: string | null;
  }[];
  usage?: Usage | null;
  error?: unknown;
}

export const authorization = (key: string | null): Record<string, string> =>
  key ? { Authorization: `Bearer ${key}` } : {};

/** What one `data:` of an answer's stream says; an error inside of the stream is thrown. Null for [DONE]. */
export function parseChunk(data: string): CompletionPart | null {
  if (data.trim() === "[DONE]") return null;
  const chunk = JSON.parse(data) as Chunk;
  if (chunk.error) throw errorFrom(500, data, null);
  if (chunk.object === "conversation.message") return { begun: chunk as Begun };
  if (chunk.object === "conversation.answer" && chunk.answer) return { whole: chunk.answer };
  const choice = chunk.choices?.[0];
  const part: CompletionPart = {};
  if (choice?.delta?.content) part.text = choice.delta.content;
  if (choice?.delta?.reasoning_content) part.reasoning = choice.delta.reasoning_content;
  if (choice?.delta?.tool_run) part.run = choice.delta.tool_run;
  if (choice?.finish_reason) part.finish = choice.finish_reason;
  if (chunk.model) part.model = chunk.model;
  if (chunk.usage) part.usage = chunk.usage;
  return part;
}

/** `answer` with a part more. What is said after a tool's run is another paragraph. */
export function grown(answer: ChatMessage, part: CompletionPart): ChatMessage {
  const next = { ...(part.whole ?? answer) };
  if (part.text) {
    const parted = part.text.startsWith("\n\n");
    next.content += answer.ran && answer.content && !parted ? `\n\n${part.text}` : part.text;
    next.ran = false;
  }
  if (part.reasoning) next.reasoning_content = (next.reasoning_content ?? "") + part.reasoning;
  if (part.run) {
    next.tool_runs = withRun(next.tool_runs ?? [], part.run);
    next.ran = true;
  }
  if (part.model) next.model = part.model;
  if (part.usage) next.usage = part.usage;
  if (part.finish) next.finish_reason = part.finish;
  return next;
}

function withRun(runs: readonly ToolRun[], run: ToolRun): ToolRun[] {
  const known = runs.some(({ id }) => id === run.id);
  return known ? runs.map((one) => (one.id === run.id ? { ...one, ...run } : one)) : [...runs, run];
}

export interface Wait {
  reason: "model" | "service";
  name: string;
  state: string;
  seconds: number;
  progress: number | null;
}

const WAITABLE = new Set(["model_not_ready", "peer_unavailable"]);
const PATIENCE_MS = 15 * 60_000;
const MAX_WAIT_S = 20;

/** How long to wait, and for what, after an error that passes by itself; null for one that does not. */
export function waitFor(error: unknown): Wait | null {
  if (!(error instanceof RequestError) || error.status !== 503 || !WAITABLE.has(error.code)) return null;
  const seconds = Math.min(MAX_WAIT_S, Math.max(1, Math.ceil(error.retryAfter ?? 3)));
  if (error.code === "peer_unavailable") {
    return { reason: "service", name: String(error.details["service"] ?? ""), state: "", seconds, progress: null };
  }
  const model = (error.details["model"] ?? {}) as {
    key?: string;
    state?: string;
    bytes_done?: number;
    bytes_total?: number;
  };
  const progress = model.bytes_total ? (model.bytes_done ?? 0) / model.bytes_total : null;
  return { reason: "model", name: model.key ?? "", state: model.state ?? "", seconds, progress };
}

/**
 * Run `attempt` until it works, fails for good, or patience ends. `onWait` is told the seconds left, each second,
 * then null when it tries again. An attempt that already said something (`started`) is not made twice.
 */
export async function withPatience<T>(
  attempt: () => Promise<T>,
  onWait: (wait: Wait | null) => void,
  signal: AbortSignal,
  started: () => boolean = () => false,
): Promise<T> {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      const wait = waitFor(error);
      if (!wait || started() || Date.now() > deadline) throw error;
      for (let seconds = wait.seconds; seconds > 0; seconds -= 1) {
        onWait({ ...wait, seconds });
        await pause(1000, signal);
      }
      onWait(null);
    }
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      clearTimeout(timer);
      reject(new DOMException("aborted", "AbortError"));
    };
    if (signal.aborted) {
      reject(new DOMException("aborted", "AbortError"));
      return;
    }
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal.addEventListener("abort", stop, { once: true });
  });
}

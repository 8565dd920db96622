import { readText, writeText } from "./storage";
import type { Diagram, Usage } from "./types";

export type MessageState = "done" | "writing" | "unfinished" | "failed";

/** What a tool was asked on the server, and what it gave. */
export interface ToolRun {
  id: string;
  round?: number;
  name: string;
  arguments?: unknown;
  state: "running" | "done" | "error";
  result?: unknown;
}

export interface ChatMessage {
  id: string;
  parent_id: string | null;
  role: "system" | "user" | "assistant";
  content: string;
  /** The model that answered; `asked_model` is the one that was asked for by name. */
  model: string | null;
  asked_model?: string;
  state: MessageState;
  created_at: string;
  reasoning_content?: string;
  /** "draw": the message went to, or came from, the diagram tool. */
  tool?: "draw";
  diagram?: Diagram;
  tool_runs?: ToolRun[];
  usage?: Usage;
  finish_reason?: string;
  /** How many older messages the model was not shown. */
  left_out?: number;
  error?: { message?: string; code?: string };
  /** While it is written: a tool ran since the last word. */
  ran?: boolean;
}

export interface Conversation {
  id: string;
  title: string;
  model: string | null;
  created_at: string;
  updated_at: string;
}

export interface ConversationSummary extends Conversation {
  messages: number;
  /** Where the words that were searched are. */
  excerpt?: string;
}

export interface WholeConversation extends Conversation {
  current: string | null;
  /** All of them, in the order in which they were made. */
  messages: ChatMessage[];
}

const LOCAL = "local-";

/** A message that the server does not have (yet). */
export const localId = (): string => LOCAL + Math.random().toString(36).slice(2, 10);
export const isLocal = (id: string): boolean => id.startsWith(LOCAL);

/** From the first message to `leaf`. */
export function branchOf(messages: readonly ChatMessage[], leaf: string | null): ChatMessage[] {
  const known = new Map(messages.map((message) => [message.id, message]));
  const found: ChatMessage[] = [];
  for (let at = leaf; at !== null;) {
    const message = known.get(at);
    if (!message) break;
    known.delete(at);
    found.push(message);
    at = message.parent_id;
  }
  return found.reverse();
}

/** The end of the branch that goes on from a message, by its latest child each time. */
export function latestLeaf(messages: readonly ChatMessage[], id: string): string {
  const latest = new Map(messages.map((message) => [message.parent_id, message.id]));
  let leaf = id;
  for (;;) {
    const child = latest.get(leaf);
    if (child === undefined) return leaf;
    latest.delete(leaf);
    leaf = child;
  }
}

/** For each message, those that stand in the same place: itself and its other versions, the oldest first. */
export function versionsOf(messages: readonly ChatMessage[]): Map<string, readonly ChatMessage[]> {
  const places = new Map<string, ChatMessage[]>();
  const found = new Map<string, readonly ChatMessage[]>();
  for (const message of messages) {
    const place = `${message.parent_id ?? ""} ${message.role}`;
    const there = places.get(place);
    if (there) there.push(message);
    else places.set(place, [message]);
    found.set(message.id, places.get(place) ?? []);
  }
  return found;
}

export type Age = "today" | "week" | "month" | "older";

/** How long ago it was, in days of the reader's clock. */
export function ageOf(moment: string, now: Date = new Date()): Age {
  const midnight = new Date(now.getFullYear(), now.getMonth(), now.getDate()).getTime();
  const days = (midnight - new Date(moment).getTime()) / 86_400_000;
  return days <= 0 ? "today" : days <= 7 ? "week" : days <= 30 ? "month" : "older";
}

/** What was kept in the browser before conversations were kept by the server. */
interface OldConversation {
  id: string;
  title?: string;
  updated?: number;
  messages: { role: string; content: string; tool?: "draw"; diagram?: Diagram; model?: string }[];
}

export interface NewConversation {
  title?: string;
  created_at?: string;
  messages: { role: string; content: string; tool?: "draw"; diagram?: Diagram; model?: string }[];
}

const OLD_STORE = "frigo.chats";
const MAX_TITLE = 200;

export function oldConversations(): OldConversation[] {
  try {
    const found: unknown = JSON.parse(readText(OLD_STORE) ?? "[]");
    return Array.isArray(found)
      ? (found as OldConversation[]).filter((c) => typeof c?.id === "string" && Array.isArray(c.messages))
      : [];
  } catch {
    return [];
  }
}

/** Leave these alone in the browser; none: forget the place. */
export function keepOld(conversations: readonly OldConversation[]): void {
  writeText(OLD_STORE, conversations.length ? JSON.stringify(conversations) : null);
}

/** An old conversation as the server takes it. */
export function fromOld(old: OldConversation): NewConversation {
  const title = old.title?.trim().slice(0, MAX_TITLE);
  return {
    ...(title ? { title } : {}),
    ...(old.updated && old.updated < Date.now() ? { created_at: new Date(old.updated).toISOString() } : {}),
    messages: old.messages
      .filter(({ role, content }) => (role === "user" || role === "assistant") && typeof content === "string")
      .map(({ role, content, tool, diagram, model }) => ({
        role,
        content,
        ...(tool === "draw" ? { tool } : {}),
        ...(diagram ? { diagram } : {}),
        ...(model ? { model } : {}),
      })),
  };
}

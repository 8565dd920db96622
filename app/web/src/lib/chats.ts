import { readText, writeText } from "./storage";
import type { ChatTurn } from "./completion";
import type { Diagram, Usage } from "./types";

export interface Message {
  id: string;
  role: "user" | "assistant";
  content: string;
  /** "draw": the message went to, or came from, the diagram tool. */
  tool?: "draw";
  diagram?: Diagram;
  model?: string;
  /** The model that was asked for by name; `model` is the one that answered. */
  asked?: string;
  usage?: Usage;
  end?: "stopped" | "error";
  error?: string;
}

export interface Conversation {
  id: string;
  title: string;
  updated: number;
  messages: Message[];
}

const STORE = "frigo.chats";
const MAX_KEPT = 60;
const TITLE_LENGTH = 48;

export const newId = (): string => Math.random().toString(36).slice(2, 10) + Date.now().toString(36);

export function loadConversations(): Conversation[] {
  try {
    const found: unknown = JSON.parse(readText(STORE) ?? "[]");
    return Array.isArray(found)
      ? (found as Conversation[]).filter((c) => typeof c?.id === "string" && Array.isArray(c.messages))
      : [];
  } catch {
    return [];
  }
}

/** Keep the latest conversations; false when the browser has no room. */
export function saveConversations(conversations: Conversation[]): boolean {
  return writeText(STORE, JSON.stringify(conversations.filter((c) => c.messages.length > 0).slice(0, MAX_KEPT)));
}

/** The first words of the first question, cut between words. */
export function titleFrom(text: string): string {
  const line = text.trim().replace(/\s+/g, " ");
  if (line.length <= TITLE_LENGTH) return line;
  const cut = line.slice(0, TITLE_LENGTH);
  return `${cut.slice(0, Math.max(cut.lastIndexOf(" "), 20))}…`;
}

/** What goes to the model: the talk without drawings, failed answers and empty ones. */
export function turnsOf(messages: readonly Message[]): ChatTurn[] {
  return messages
    .filter((message) => !message.tool && message.content !== "")
    .map(({ role, content }) => ({ role, content }));
}

/** Drop the older half, so that what is left begins with a question. Null when only the question is left. */
export function shorten(turns: readonly ChatTurn[]): ChatTurn[] | null {
  if (turns.length <= 1) return null;
  const half = turns.slice(Math.ceil(turns.length / 2));
  const from = half.findIndex(({ role }) => role === "user");
  return from < 0 ? turns.slice(-1) : half.slice(from);
}

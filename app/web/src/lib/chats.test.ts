import { beforeEach, describe, expect, it, vi } from "vitest";
import { RequestError } from "./api";
import { ageOf, branchOf, fromOld, latestLeaf, oldConversations, versionsOf, type ChatMessage } from "./chats";
import { grown, parseChunk } from "./completion";
import { importOld } from "./conversations";
import { inOneLine, readable } from "./runs";

const said = (id: string, parent_id: string | null, role: ChatMessage["role"] = "user"): ChatMessage => ({
  ...{ id, parent_id, role, content: id, model: null, state: "done", created_at: "2026-01-01T00:00:00Z" },
});

// a ─ b ─ c        c and d answer b, which was written again as e
//   │   └ d ─ f
//   └ e
const TREE = [said("a", null), said("b", "a"), said("c", "b", "assistant"), said("d", "b", "assistant")];
TREE.push(said("e", "a"), said("f", "d"));
const ids = (messages: readonly ChatMessage[]): string => messages.map(({ id }) => id).join("");

describe("the branches of a conversation", () => {
  it("are read from their end", () => {
    expect(ids(branchOf(TREE, "f"))).toBe("abdf");
    expect(ids(branchOf(TREE, "c"))).toBe("abc");
    expect(branchOf(TREE, null)).toEqual([]);
    expect(branchOf([said("x", "y"), said("y", "x")], "x")).toHaveLength(2); // a ring ends
  });
  it("go on by the latest child", () => {
    expect(latestLeaf(TREE, "b")).toBe("f");
    expect(latestLeaf(TREE, "a")).toBe("e");
    expect(latestLeaf(TREE, "c")).toBe("c");
  });
  it("part where there are several versions", () => {
    const versions = versionsOf(TREE);
    expect(ids(versions.get("d") ?? [])).toBe("cd");
    expect(ids(versions.get("b") ?? [])).toBe("be");
    expect(ids(versions.get("a") ?? [])).toBe("a");
  });
});

it("tells how long ago by the reader's days", () => {
  const now = new Date(2026, 10, 21, 0, 30);
  const ago = (hours: number): string => new Date(now.getTime() - hours * 3_600_000).toISOString();
  expect([0.1, 1, 24 * 7, 24 * 9, 24 * 40].map((hours) => ageOf(ago(hours), now))).toEqual([
    ...["today", "week", "week", "month", "older"],
  ]);
});

describe("an answer that grows", () => {
  const start = { ...said("x", "a", "assistant"), content: "" };
  const read = (delta: object): ReturnType<typeof parseChunk> =>
    parseChunk(JSON.stringify({ model: "m", choices: [{ delta }] }));
  it("takes texts, reasoning and runs of tools", () => {
    const run = { id: "1", round: 1, name: "date", arguments: {}, state: "running" };
    const parts = [{ reasoning_content: "hm" }, { content: "Je " }, { content: "regarde." }, { tool_run: run }];
    const done = { ...run, state: "done", result: "lundi" };
    parts.push({ tool_run: done }, { content: "Lundi." }, { content: " Oui." });
    const whole = parts.reduce((answer, part) => grown(answer, read(part) ?? {}), start);
    expect(whole).toMatchObject({ content: "Je regarde.\n\nLundi. Oui.", reasoning_content: "hm", model: "m" });
    expect(whole.tool_runs).toEqual([{ ...run, state: "done", result: "lundi" }]);
  });
  it("begins by the messages that it is about", () => {
    const told = { object: "conversation.message", conversation: {}, question: { id: "q" }, answer: { id: "r" } };
    expect(parseChunk(JSON.stringify(told))?.begun?.answer.id).toBe("r");
  });
});

it("shows what tools are asked in words", () => {
  expect(inOneLine({ expression: "2 +  3" })).toBe("2 + 3");
  expect(inOneLine('{"a": 1, "b": "x"}')).toBe("1, x");
  expect(inOneLine("y".repeat(100))).toHaveLength(60);
  expect([inOneLine(undefined), inOneLine("{"), readable(null)]).toEqual(["", "{", ""]);
  expect(readable('{"a":1}')).toBe('{\n  "a": 1\n}');
});

describe("what the browser kept", () => {
  const old = (id: string): object => ({
    ...{ id, title: id, updated: Date.UTC(2026, 0, 2) },
    messages: [
      { id: "1", role: "user", content: "Dessine", tool: "draw" },
      { id: "2", role: "assistant", content: "", end: "error", error: "x", model: "m" },
    ],
  });
  const kept = new Map<string, string>();
  beforeEach(() => {
    kept.clear();
    vi.stubGlobal("localStorage", {
      getItem: (key: string) => kept.get(key) ?? null,
      setItem: (key: string, value: string) => kept.set(key, value),
      removeItem: (key: string) => kept.delete(key),
    });
  });

  it("goes to the server, the oldest first, once", async () => {
    kept.set("frigo.chats", JSON.stringify([old("new"), old("old")]));
    const create = vi.fn().mockResolvedValue({});
    expect(await importOld({ create })).toBe(true);
    expect(create.mock.calls.map(([{ title }]) => title)).toEqual(["old", "new"]);
    expect(create.mock.calls[0]?.[0]).toEqual({
      ...{ title: "old", created_at: "2026-01-02T00:00:00.000Z" },
      messages: [
        { role: "user", content: "Dessine", tool: "draw" },
        { role: "assistant", content: "", model: "m" },
      ],
    });
    expect(kept.size).toBe(0);
    expect(await importOld({ create })).toBe(false);
  });
  it("stays when the server is not there, and loses nothing that it refuses", async () => {
    kept.set("frigo.chats", JSON.stringify([old("c"), old("b"), old("a")]));
    const create = vi.fn();
    create.mockRejectedValueOnce(new RequestError(400, "invalid_value", "x")).mockResolvedValueOnce({});
    create.mockRejectedValueOnce(new RequestError(401, "invalid_api_key", "x"));
    expect(await importOld({ create })).toBe(true);
    expect(oldConversations().map(({ id }) => id)).toEqual(["c", "a"]);
  });
  it("may be anything", () => {
    for (const text of ["", "{", '"x"', "[null, 3]"]) {
      kept.set("frigo.chats", text);
      expect(oldConversations()).toEqual([]);
    }
    expect(fromOld({ id: "x", messages: [{ role: "system", content: "x" }] })).toEqual({ messages: [] });
  });
});

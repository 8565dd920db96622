import { describe, expect, it, vi } from "vitest";
import { errorFrom, RequestError } from "./api";
import { grown, parseChunk, waitFor, withPatience } from "./completion";

describe("chunks of a completion", () => {
  it("reads text, model and usage", () => {
    expect(parseChunk('{"model":"m","choices":[{"delta":{"content":"Bon"}}]}')).toEqual({ model: "m", text: "Bon" });
    const usage = { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 };
    expect(parseChunk(JSON.stringify({ choices: [], usage }))).toEqual({ usage });
    expect(parseChunk("[DONE]")).toBeNull();
  });
  it("takes up an answer that the server writes", () => {
    const answer = { id: "m", parent_id: "q", role: "assistant", content: "Bon", model: "m", created_at: "" } as const;
    const whole = parseChunk(JSON.stringify({ object: "conversation.answer", answer: { ...answer, state: "writing" } }));
    const more = parseChunk('{"choices":[{"index":0,"delta":{"content":"jour"}}]}');
    const ended = grown(grown({ ...answer, content: "", state: "done" }, whole ?? {}), more ?? {});
    expect(ended).toMatchObject({ content: "Bonjour", state: "writing" });
  });
  it("throws an error that comes inside of the stream, with its message", () => {
    expect(() => parseChunk('{"error":{"message":"Le moteur est tombé.","code":"engine_error"}}')).toThrow(
      "Le moteur est tombé.",
    );
  });
});

const notReady = (): RequestError =>
  errorFrom(
    503,
    JSON.stringify({
      error: {
        message: "x",
        code: "model_not_ready",
        model: { key: "qwen3-4b", state: "loading", bytes_done: 1, bytes_total: 4 },
      },
    }),
    "2",
  );

describe("patience", () => {
  it("knows what passes by itself", () => {
    expect(waitFor(notReady())).toEqual({
      reason: "model",
      name: "qwen3-4b",
      state: "loading",
      seconds: 2,
      progress: 0.25,
    });
    expect(waitFor(new RequestError(503, "peer_unavailable", "x", null, { service: "gpt" }))).toMatchObject({
      reason: "service",
      name: "gpt",
    });
    expect(waitFor(new RequestError(400, "bad", "x"))).toBeNull();
    expect(waitFor(new RequestError(503, "model_not_ready", "x", 3600))?.seconds).toBe(20);
  });
  it("tries again after Retry-After, and counts the seconds", async () => {
    vi.useFakeTimers();
    const attempt = vi.fn().mockRejectedValueOnce(notReady()).mockResolvedValueOnce("ok");
    const waits: (number | null)[] = [];
    const result = withPatience(attempt, (wait) => waits.push(wait?.seconds ?? null), new AbortController().signal);
    await vi.advanceTimersByTimeAsync(2000);
    expect(await result).toBe("ok");
    expect(waits).toEqual([2, 1, null]);
    vi.useRealTimers();
  });
  it("never makes twice an attempt that already spoke", async () => {
    const attempt = vi.fn().mockRejectedValue(notReady());
    await expect(
      withPatience(
        attempt,
        () => undefined,
        new AbortController().signal,
        () => true,
      ),
    ).rejects.toThrow();
    expect(attempt).toHaveBeenCalledTimes(1);
  });
  it("stops waiting when it is told to", async () => {
    const controller = new AbortController();
    const result = withPatience(
      () => Promise.reject(notReady()),
      () => controller.abort(),
      controller.signal,
    );
    await expect(result).rejects.toMatchObject({ name: "AbortError" });
  });
});

it("gives a plain sentence for an error that is not in OpenAI's shape", () => {
  const error = errorFrom(502, "<html>Bad gateway</html>", null);
  expect(error.message).toContain("502");
  expect(error.code).toBe("http_502");
});

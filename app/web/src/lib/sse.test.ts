import { describe, expect, it } from "vitest";
import { readEvents, SseParser } from "./sse";

const all = (text: string, size: number) => {
  const parser = new SseParser();
  const events = [];
  for (let i = 0; i < text.length; i += size) events.push(...parser.push(text.slice(i, i + size)));
  return events;
};

describe("server-sent events", () => {
  const stream = ': ping\n\nevent: meeting\ndata: {"a":1}\n\ndata: un\ndata: deux\r\n\r\ndata:[DONE]\n\n';
  const expected = [
    { event: "meeting", data: '{"a":1}' },
    { event: "message", data: "un\ndeux" },
    { event: "message", data: "[DONE]" },
  ];
  it.each([1, 2, 3, 7, 1000])("is the same however it is cut (%i characters at a time)", (size) => {
    expect(all(stream, size)).toEqual(expected);
  });
  it("gives nothing of an event that is not complete", () => {
    expect(all("data: presque", 5)).toEqual([]);
  });
  it("keeps the spaces of the text but the first", () => {
    expect(all("data:  deux espaces \n\n", 100)).toEqual([{ event: "message", data: " deux espaces " }]);
  });
  it("reads a body whose UTF-8 is cut in the middle of a letter", async () => {
    const bytes = new TextEncoder().encode("data: été\n\n");
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        for (const byte of bytes) controller.enqueue(new Uint8Array([byte]));
        controller.close();
      },
    });
    const events = [];
    for await (const event of readEvents(body)) events.push(event);
    expect(events).toEqual([{ event: "message", data: "été" }]);
  });
});

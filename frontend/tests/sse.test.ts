import { describe, expect, it } from "vitest";
import { SseParser } from "../src/live/sse";

const STREAM = [
  "\uFEFFretry: 2000\n\n",
  ": a comment\n",
  'event: report\nid: 3:17\ndata: {"a":1}\n\n',
  "event: heartbeat\r\ndata: one\r\ndata:two\r\n\r\n",
  "data\rid: 4\r\r",
  "event: nothing\n\n",
  "data: last\n\n",
].join("");

const EXPECTED = [
  { type: "report", data: '{"a":1}', lastEventId: "3:17" },
  { type: "heartbeat", data: "one\ntwo", lastEventId: "3:17" },
  { type: "message", data: "", lastEventId: "4" },
  { type: "message", data: "last", lastEventId: "4" },
];

describe("SseParser", () => {
  it("reads the same events however the text is cut into two", () => {
    for (let cut = 0; cut <= STREAM.length; cut += 1) {
      const parser = new SseParser();
      const events = [...parser.push(STREAM.slice(0, cut)), ...parser.push(STREAM.slice(cut))];
      expect(events, `cut at ${cut}`).toEqual(EXPECTED);
      expect(parser.retryMs).toBe(2000);
    }
  });

  it("reads the same events character by character", () => {
    const parser = new SseParser();
    expect(Array.from(STREAM).flatMap((character) => parser.push(character))).toEqual(EXPECTED);
  });

  it("holds an event back until its empty line", () => {
    const parser = new SseParser();
    expect(parser.push("data: x\n")).toEqual([]);
    expect(parser.push("\n")).toHaveLength(1);
  });

  it("keeps the last id of the connection before", () => {
    expect(new SseParser("9").push("data: x\n\n")[0]?.lastEventId).toBe("9");
  });

  it("ignores an id with a null character and a retry that is no number", () => {
    const parser = new SseParser("9");
    parser.push("id: a\0b\nretry: soon\n\n");
    expect(parser.lastEventId).toBe("9");
    expect(parser.retryMs).toBeNull();
  });

  it("refuses an event beyond its bound, in one line or in many", () => {
    expect(() => new SseParser().push(`data: ${"x".repeat(4 * 1024 * 1024)}`)).toThrow(RangeError);
    expect(() => new SseParser().push(`data: ${"x".repeat(1024)}\n`.repeat(5000))).toThrow(RangeError);
  });
});

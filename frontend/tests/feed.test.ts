import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type Today, decodeToday } from "../src/api/contract";
import { ApiError } from "../src/api/failures";
import { type FeedPorts, runFeed } from "../src/live/feed";
import type { LiveEvent } from "../src/live/state";
import { todayJson } from "./support/reports";

const encoder = new TextEncoder();
const sent = (events: number, asOf?: string) =>
  `event: report\nid: ${events}\ndata: ${JSON.stringify(todayJson([{ events }], asOf))}\n\n`;

/** A stream that sends the texts and then ends, or stays open until the signal. */
function streamOf(texts: string[], signal: AbortSignal, end: "ends" | "stays"): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      for (const text of texts) controller.enqueue(encoder.encode(text));
      if (end === "ends") controller.close();
      else
        signal.addEventListener("abort", () => {
          controller.error(new Error("aborted"));
        });
    },
  });
}

type Answer<T> = (signal: AbortSignal) => T;

/** Runs the feed against scripted answers until they are used up, then stops it. */
async function run(todays: Answer<Today>[], streams: Answer<ReadableStream<Uint8Array>>[], steady = false) {
  const events: LiveEvent[] = [];
  const sleeps: number[] = [];
  const ids: string[] = [];
  const controller = new AbortController();
  let clock = 0;
  const next = <T>(answers: Answer<T>[], signal: AbortSignal): Promise<T> => {
    const answer = answers.shift();
    if (answer === undefined) {
      controller.abort();
      return Promise.reject(new ApiError({ kind: "unavailable", retryAfterMs: null }));
    }
    return Promise.resolve().then(() => answer(signal));
  };
  const ports: FeedPorts = {
    getToday: (signal) => next(todays, signal),
    openStream: (id, signal) => {
      ids.push(id);
      return next(streams, signal);
    },
    now: () => (clock += steady ? 20_000 : 1),
    sleep: (ms) => {
      sleeps.push(ms);
      return Promise.resolve();
    },
    chance: () => 0,
    emit: (event) => events.push(event),
  };
  const reason = await runFeed(ports, controller.signal);
  const counts = events.flatMap((event) =>
    event.type === "today" ? [event.today.items[0]?.event_count] : [],
  );
  return { reason, events, kinds: events.map((event) => event.type), counts, sleeps, ids };
}

const day =
  (events: number): Answer<Today> =>
  () =>
    decodeToday(todayJson([{ events }]));
const fails =
  (failure: ConstructorParameters<typeof ApiError>[0]): Answer<never> =>
  () => {
    throw new ApiError(failure);
  };
const down = fails({ kind: "unavailable", retryAfterMs: 7_000 });

describe("the feed", () => {
  it("reads today first and then follows the stream", async () => {
    const { kinds, counts } = await run([day(1)], [(signal) => streamOf([sent(2), sent(3)], signal, "ends")]);
    expect(kinds.slice(0, 2)).toEqual(["today", "streaming"]);
    expect(counts).toEqual([1, 2, 3]);
  });

  it("reconnects with the id of the last report", async () => {
    const { ids } = await run(
      [day(1), day(2)],
      [(signal) => streamOf([sent(2)], signal, "ends"), (signal) => streamOf([], signal, "ends")],
    );
    expect(ids).toEqual(["", "2"]);
  });

  it("polls while the stream cannot be had, not before the server's wish", async () => {
    const { counts, sleeps, kinds } = await run([day(1), day(2), day(3)], [down, down, down]);
    expect(counts).toEqual([1, 2, 3]);
    expect(sleeps).toEqual([7_000, 7_000, 7_000]);
    expect(kinds).not.toContain("down");
    expect(kinds.filter((kind) => kind.startsWith("stream"))).toEqual(Array(3).fill("stream-refused"));
  });

  it("backs off further with every failure in a row", async () => {
    const lost = fails({ kind: "unavailable", retryAfterMs: null });
    const { sleeps, kinds } = await run([lost, lost, lost, lost], []);
    expect(sleeps).toEqual([1_000, 2_000, 4_000, 8_000]);
    expect(new Set(kinds)).toEqual(new Set(["down"]));
  });

  it("stops where the session has ended, at a read as at the stream", async () => {
    const ended = fails({ kind: "session-ended" });
    expect((await run([ended], [])).reason).toBe("session-ended");
    expect((await run([day(1)], [ended])).reason).toBe("session-ended");
  });

  it("opens a steady stream that ended in order at once, without calling it lost or reading again", async () => {
    const { kinds, sleeps } = await run(
      [day(1), day(2)],
      [
        (signal) => streamOf([sent(2), 'event: end\ndata: {"reason":"token-expired"}\n\n'], signal, "ends"),
        down,
      ],
      true,
    );
    expect(kinds).toEqual(["today", "streaming", "today", "stream-lost", "today"]);
    expect(sleeps[0]).toBe(0);
  });

  it("takes freshness from heartbeats", async () => {
    const beat = 'event: heartbeat\ndata: {"as_of":"2026-11-23T10:00:09Z","freshness_ms":90}\n\n';
    const { events } = await run([day(1)], [(signal) => streamOf([beat], signal, "ends")]);
    expect(events).toContainEqual(
      expect.objectContaining({
        type: "fresh",
        freshness: { as_of: Date.parse("2026-11-23T10:00:09Z"), freshness_ms: 90 },
      }),
    );
  });

  it("reads again where heartbeats tell no freshness and the numbers are old", async () => {
    const beat = 'event: heartbeat\ndata: {"as_of":null,"freshness_ms":null}\n\n';
    const { counts } = await run([day(1), day(5)], [(signal) => streamOf([beat], signal, "ends")], true);
    expect(counts).toEqual([1, 5]);
  });

  it("goes on after a report that breaks the contract", async () => {
    const { counts, kinds } = await run(
      [day(1), day(2)],
      [(signal) => streamOf(["event: report\ndata: {}\n\n"], signal, "ends"), down],
    );
    expect(counts).toEqual([1, 2]);
    expect(kinds).toContain("stream-lost");
  });

  it("lets a defect surface instead of taking it for an outage", async () => {
    const defect: Answer<never> = () => {
      throw new TypeError("a defect");
    };
    await expect(run([defect], [])).rejects.toThrow("a defect");
  });

  describe("with a silent stream", () => {
    beforeEach(() => void vi.useFakeTimers());
    afterEach(() => void vi.useRealTimers());

    it("takes it for dead after 15 seconds, and says so at once", async () => {
      const running = run([day(1)], [(signal) => streamOf([sent(2)], signal, "stays")]);
      await vi.advanceTimersByTimeAsync(14_000);
      await vi.advanceTimersByTimeAsync(2_000);
      const { counts, kinds } = await running;
      expect(counts).toEqual([1, 2]);
      expect(kinds).toContain("stream-lost");
    });
  });
});

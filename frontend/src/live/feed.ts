/**
 * Keeps today's numbers moving: reads them once, then follows the stream. While the stream cannot be had, every
 * attempt to get it begins with a read, so that the page falls back to polling at the back-off's pace.
 */

import { type Today, decodeFreshness, decodeToday } from "../api/contract";
import { ContractError } from "../api/decode";
import { ApiError, type Failure, failureFrom } from "../api/failures";
import { delayAfter } from "./backoff";
import { type ServerEvent, SseParser } from "./sse";
import { type LiveEvent, type Snapshot, ageOf } from "./state";

/** What the feed needs from outside. `sleep` ends early when `signal` aborts or the page has reason to hurry. */
export interface FeedPorts {
  getToday: (signal: AbortSignal) => Promise<Today>;
  openStream: (lastEventId: string, signal: AbortSignal) => Promise<ReadableStream<Uint8Array>>;
  now: () => number;
  sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  chance: () => number;
  emit: (event: LiveEvent) => void;
}

/** A stream silent for longer is taken for dead: a heartbeat comes at least every ten seconds. */
export const LONGEST_SILENCE_MS = 15_000;
/** With heartbeats that do not tell freshness, numbers older than this are read again. */
const REFRESH_AFTER_MS = 10_000;
/** A connection that held this long counts as a success for the back-off. */
const STEADY_AFTER_MS = 10_000;
/** A stream that the server ends in order (with the access token, every few minutes) is opened anew within this. */
const HAND_OVER_MS = 500;

interface Progress {
  lastEventId: string;
  retryMs: number | null;
  shown: Snapshot | null;
  /** Whether this attempt had a stream. */
  opened: boolean;
}

/** Runs until `signal` aborts or the session has ended; resolves with the reason. Never throws for an outage. */
export async function runFeed(ports: FeedPorts, signal: AbortSignal): Promise<"stopped" | "session-ended"> {
  const progress: Progress = { lastEventId: "", retryMs: null, shown: null, opened: false };
  let failures = 0;
  let handedOver = false;
  while (!signal.aborted) {
    const begun = ports.now();
    const failure = await attempt(ports, progress, handedOver, signal);
    handedOver = failure === null;
    if (isAborted(signal)) break;
    if (failure?.kind === "session-ended") return "session-ended";
    if (failure === null) {
      failures = 0;
      await ports.sleep(HAND_OVER_MS * ports.chance(), signal);
      continue;
    }
    failures = ports.now() - begun > STEADY_AFTER_MS ? 1 : failures + 1;
    const wish = failure.kind === "unavailable" ? (failure.retryAfterMs ?? progress.retryMs) : null;
    await ports.sleep(delayAfter(failures, wish, ports.chance()), signal);
  }
  return "stopped";
}

// Functions, because both change while awaiting and the compiler cannot know.
function hadStream(progress: Progress): boolean {
  return progress.opened;
}

function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}

/**
 * Reads once, then follows the stream to its end; null where a steady stream ended in order. The stream after such
 * an end (`handedOver`) begins with whatever changed since its last id, so that there is nothing to read.
 */
async function attempt(
  ports: FeedPorts,
  progress: Progress,
  handedOver: boolean,
  signal: AbortSignal,
): Promise<Failure | null> {
  const begun = ports.now();
  progress.opened = false;
  try {
    if (!handedOver) await refresh(ports, progress, signal);
  } catch (error) {
    if (signal.aborted) return { kind: "unavailable", retryAfterMs: null };
    const failure = failureFrom(error);
    ports.emit({ type: "down", failure });
    return failure;
  }
  try {
    await follow(ports, progress, signal);
    if (ports.now() - begun > STEADY_AFTER_MS) return null;
    ports.emit({ type: "stream-lost" });
    return { kind: "unavailable", retryAfterMs: null };
  } catch (error) {
    if (signal.aborted) return { kind: "unavailable", retryAfterMs: null };
    // Without a stream the server has just answered the read, unless there was none.
    ports.emit({ type: hadStream(progress) || handedOver ? "stream-lost" : "stream-refused" });
    return failureFrom(error);
  }
}

async function refresh(ports: FeedPorts, progress: Progress, signal: AbortSignal): Promise<void> {
  show(await ports.getToday(signal), ports, progress);
}

function show(today: Today, ports: FeedPorts, progress: Progress): void {
  const receivedAt = ports.now();
  progress.shown = { today, receivedAt };
  ports.emit({ type: "today", today, receivedAt });
}

async function follow(ports: FeedPorts, progress: Progress, signal: AbortSignal): Promise<void> {
  const connection = new AbortController();
  const linked = AbortSignal.any([signal, connection.signal]);
  try {
    const stream = await ports.openStream(progress.lastEventId, linked);
    progress.opened = true;
    ports.emit({ type: "streaming" });
    await readAll(stream, ports, progress, linked);
  } finally {
    connection.abort();
  }
}

async function readAll(
  stream: ReadableStream<Uint8Array>,
  ports: FeedPorts,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  const parser = new SseParser(progress.lastEventId);
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const reader = stream.getReader();
  try {
    for (;;) {
      const chunk = await nextChunk(reader);
      if (chunk === null) return;
      const events = parsed(parser, decoder.decode(chunk, { stream: true }));
      for (const event of events) await handle(event, ports, progress, signal);
      progress.retryMs = parser.retryMs;
    }
  } finally {
    // The connection is aborted by the caller; a cancelled reader has nothing more to tell.
    reader.cancel().catch(() => undefined);
  }
}

function parsed(parser: SseParser, text: string): ServerEvent[] {
  try {
    return parser.push(text);
  } catch (error) {
    throw error instanceof RangeError ? new ApiError({ kind: "unreadable", detail: error.message }) : error;
  }
}

/** The next bytes; null at the stream's end. A broken or silent connection is an outage. */
async function nextChunk(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<Uint8Array | null> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const silence = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error("the stream fell silent"));
    }, LONGEST_SILENCE_MS);
  });
  try {
    const { done, value } = await Promise.race([reader.read(), silence]);
    return done ? null : value;
  } catch {
    throw new ApiError({ kind: "unavailable", retryAfterMs: null });
  } finally {
    clearTimeout(timer);
  }
}

async function handle(
  event: ServerEvent,
  ports: FeedPorts,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  if (event.type === "report") {
    show(decoded(event.data, decodeToday), ports, progress);
    progress.lastEventId = event.lastEventId;
  } else if (event.type === "heartbeat") {
    await heartbeat(event.data, ports, progress, signal);
  }
}

/** A heartbeat may tell how fresh the numbers are; where it does not, old ones are read again. */
async function heartbeat(
  data: string,
  ports: FeedPorts,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  const { shown } = progress;
  const freshness = data.trim().startsWith("{") ? decoded(data, decodeFreshness) : null;
  if (shown !== null && freshness !== null && freshness.as_of !== null) {
    const receivedAt = ports.now();
    progress.shown = { today: { ...shown.today, ...freshness }, receivedAt };
    ports.emit({ type: "fresh", freshness, receivedAt });
    return;
  }
  const age = shown === null ? null : ageOf(shown, ports.now());
  if (age === null || age > REFRESH_AFTER_MS) await refresh(ports, progress, signal);
}

function decoded<T>(data: string, decode: (value: unknown) => T): T {
  try {
    return decode(JSON.parse(data));
  } catch (error) {
    if (error instanceof ContractError || error instanceof SyntaxError) {
      throw new ApiError({ kind: "unreadable", detail: error.message });
    }
    throw error;
  }
}

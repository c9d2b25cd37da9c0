import type { Freshness, Today } from "../api/contract";
import type { Failure } from "../api/failures";

/** `receivedAt` is of the page's monotonic clock (milliseconds), so that a wrong wall clock does no harm. */
export interface Snapshot {
  today: Today;
  receivedAt: number;
}

export type Connection =
  | "connecting"
  | "live"
  /** The stream fell silent or broke; whether the server can be reached is being found out. */
  | "reconnecting"
  /** The server answers, but gives no stream: numbers are read again and again. */
  | "polling"
  | "down"
  /** The browser itself says that there is no network. */
  | "offline";

export interface LiveState {
  connection: Connection;
  snapshot: Snapshot | null;
  failure: Failure | null;
}

export type LiveEvent =
  | { type: "today"; today: Today; receivedAt: number }
  | { type: "fresh"; freshness: Freshness; receivedAt: number }
  | { type: "streaming" }
  /** The stream fell silent or broke. */
  | { type: "stream-lost" }
  /** The server answered just now, but not with a stream. */
  | { type: "stream-refused" }
  /** Not even reading worked. */
  | { type: "down"; failure: Failure }
  | { type: "offline" }
  | { type: "online" };

export const INITIAL_LIVE: LiveState = { connection: "connecting", snapshot: null, failure: null };

export function reduceLive(state: LiveState, event: LiveEvent): LiveState {
  switch (event.type) {
    case "today":
      return withToday(state, event.today, event.receivedAt);
    case "fresh":
      return withFreshness(state, event.freshness, event.receivedAt);
    case "streaming":
      return { ...state, connection: "live", failure: null };
    case "stream-refused":
      return { ...state, connection: "polling", failure: null };
    case "offline":
      return { ...state, connection: "offline", failure: null };
    case "online":
      return state.connection === "offline" ? { ...state, connection: "reconnecting" } : state;
    case "stream-lost":
      return state.connection === "offline" ? state : { ...state, connection: "reconnecting" };
    case "down":
      // What the browser knows about its network explains the failure.
      return state.connection === "offline"
        ? state
        : { ...state, connection: "down", failure: event.failure };
  }
}

function withToday(state: LiveState, today: Today, receivedAt: number): LiveState {
  // After midnight a late answer of yesterday must not take the new day's place.
  if (state.snapshot !== null && state.snapshot.today.report_date > today.report_date) return state;
  const back = state.connection === "down" || state.connection === "offline";
  return {
    connection: back ? "reconnecting" : state.connection,
    failure: null,
    snapshot: { today, receivedAt },
  };
}

function withFreshness(state: LiveState, freshness: Freshness, receivedAt: number): LiveState {
  if (state.snapshot === null || freshness.as_of === null) return state;
  const today = { ...state.snapshot.today, as_of: freshness.as_of, freshness_ms: freshness.freshness_ms };
  return { ...state, snapshot: { today, receivedAt } };
}

/** How old the shown numbers are at `now` (same clock as `receivedAt`), in ms; null where nothing arrived yet. */
export function ageOf({ today, receivedAt }: Snapshot, now: number): number | null {
  if (today.as_of === null || today.freshness_ms === null) return null;
  return Math.max(0, today.freshness_ms) + Math.max(0, now - receivedAt);
}

export const LATE_AFTER_MS = 30_000;

/** Why the numbers may not be today's latest; one cause at a time, the nearest to the person first. */
export type Cause =
  | { kind: "offline" }
  | { kind: "no-answer" }
  | { kind: "refused"; status: number }
  | { kind: "unreadable" }
  /** The connection is well: the numbers were that old (ms) when they were sent. */
  | { kind: "late"; ms: number };

export function causeOf({ connection, failure, snapshot }: LiveState): Cause | null {
  if (connection === "offline") return { kind: "offline" };
  if (failure !== null) return causeOfFailure(failure);
  if (connection === "reconnecting") return { kind: "no-answer" };
  const ms = snapshot?.today.freshness_ms ?? 0;
  return ms > LATE_AFTER_MS ? { kind: "late", ms } : null;
}

/** The account has no reports: the service is well, and will hardly say anything else. */
export function isWithoutReports({ failure }: LiveState): boolean {
  return failure?.kind === "refused" && failure.status === 404;
}

function causeOfFailure(failure: Failure): Cause | null {
  switch (failure.kind) {
    case "unavailable":
      return { kind: "no-answer" };
    case "refused":
      return { kind: "refused", status: failure.status };
    case "unreadable":
      return { kind: "unreadable" };
    case "session-ended":
      // The whole page says so.
      return null;
  }
}

import type { Freshness, Today } from "../api/contract";
import type { Failure } from "../api/failures";

/** `receivedAt` is of the page's monotonic clock (milliseconds), so that a wrong wall clock does no harm. */
export interface Snapshot {
  today: Today;
  receivedAt: number;
}

export type Connection = "connecting" | "live" | "polling" | "down";

export interface LiveState {
  connection: Connection;
  snapshot: Snapshot | null;
  failure: Failure | null;
}

export type LiveEvent =
  | { type: "today"; today: Today; receivedAt: number }
  | { type: "fresh"; freshness: Freshness; receivedAt: number }
  | { type: "streaming" }
  /** The stream is gone; numbers still come by polling. */
  | { type: "stream-lost" }
  /** Not even polling worked. */
  | { type: "down"; failure: Failure };

export const INITIAL_LIVE: LiveState = { connection: "connecting", snapshot: null, failure: null };

export function reduceLive(state: LiveState, event: LiveEvent): LiveState {
  switch (event.type) {
    case "today":
      return withToday(state, event.today, event.receivedAt);
    case "fresh":
      return withFreshness(state, event.freshness, event.receivedAt);
    case "streaming":
      return { ...state, connection: "live", failure: null };
    case "stream-lost":
      return { ...state, connection: "polling" };
    case "down":
      return { ...state, connection: "down", failure: event.failure };
  }
}

function withToday(state: LiveState, today: Today, receivedAt: number): LiveState {
  // After midnight a late answer of yesterday must not take the new day's place.
  if (state.snapshot !== null && state.snapshot.today.report_date > today.report_date) return state;
  const connection = state.connection === "down" ? "polling" : state.connection;
  return { connection, failure: null, snapshot: { today, receivedAt } };
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

export const STALE_AFTER_MS = 30_000;

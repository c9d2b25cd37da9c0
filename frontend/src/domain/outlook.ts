/** What a day's numbers mean in one sentence: how it compares, and how long the battery lasts at its pace. */

import type { DailyReport } from "../api/contract";
import { type Comparison, HOUR_MS } from "./comparison";

const MINUTE_MS = 60_000;
/** A day within this share of the usual, or within so many minutes, is a usual one. */
const USUAL_SHARE = 0.15;
const USUAL_MS = 10 * MINUTE_MS;

export type Pace = "usual" | "more" | "less";

export function paceOf({ usageDifferenceMs, usualUsageMs }: Comparison): Pace {
  const band = Math.max(USUAL_MS, usualUsageMs * USUAL_SHARE);
  if (Math.abs(usageDifferenceMs) <= band) return "usual";
  return usageDifferenceMs > 0 ? "more" : "less";
}

/** A pace is worth telling after so long and so much of the battery; before, chance has the word. */
const SHORTEST_MS = 2 * HOUR_MS;
const LEAST_DRAIN_PERCENT = 5;
/** A reading older than this says nothing about now. */
const OLDEST_MS = 2 * HOUR_MS;
const STEP_MS = 30 * MINUTE_MS;

/**
 * Until when the battery lasts if it drains on as it has today so far: an instant (ms since 1970, to the half hour,
 * rounded down), `all-day` where that is after the day's end; null where the day says too little.
 */
export function batteryUntil(report: DailyReport, now: number): number | "all-day" | null {
  const { battery, first_event_at, last_event_at, day_ends_at } = report;
  const span = last_event_at - first_event_at;
  if (battery === null || span < SHORTEST_MS || now - last_event_at > OLDEST_MS) return null;
  if (battery.drain_percent < LEAST_DRAIN_PERCENT) return null;
  const until = last_event_at + (battery.last_percent / battery.drain_percent) * span;
  if (until >= day_ends_at) return "all-day";
  return Math.max(now, Math.floor(until / STEP_MS) * STEP_MS);
}

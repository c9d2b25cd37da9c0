import type { HourOfUse } from "../api/contract";
import { HOUR_MS } from "./comparison";

/** A bar of the chart of hours; `height` in 0…100 of the chart's scale. */
export interface Bar {
  startsAt: number;
  ms: number;
  height: number;
  /** The hour that `now` falls in. */
  current: boolean;
  /** Hours that have not begun. */
  ahead: boolean;
}

/** Milliseconds at the top: one hour, or more in whole hours where an hour holds longer activities. */
export function scaleOf(hours: readonly HourOfUse[]): number {
  const most = hours.reduce((peak, hour) => Math.max(peak, hour.ms), 0);
  return Math.max(1, Math.ceil(most / HOUR_MS)) * HOUR_MS;
}

/** One bar an hour slot: 23, 24 or 25 of them, as long as the day is. A begun slot with little use stays visible. */
export function barsOf(hours: readonly HourOfUse[], now: number): Bar[] {
  const scale = scaleOf(hours);
  return hours.map(({ starts_at, ms }) => ({
    startsAt: starts_at,
    ms,
    height: ms === 0 ? 0 : Math.max(2, Math.round((ms / scale) * 1000) / 10),
    current: now >= starts_at && now < starts_at + HOUR_MS,
    ahead: now < starts_at,
  }));
}

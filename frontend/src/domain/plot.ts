/** Charts in units of their own drawing: 100 high, ten to a slot. */

import type { HourOfUse } from "../api/contract";
import { HOUR_MS } from "./comparison";

export const PITCH = 10;

/** What one slot of a chart tells, besides its mark. */
export interface Slot {
  key: string;
  /** The slot's name in full (`14:00 to 15:00`), and what stands in it. */
  name: string;
  text: string;
  /** On the axis; empty where there is no room. */
  tick: string;
  current: boolean;
  /** Not there yet: in the chart, but not in the table. */
  ahead: boolean;
}

/** Milliseconds at the top: one hour, or more in whole hours where more happened. */
export function scaleOf(values: readonly number[]): number {
  const most = values.reduce((peak, value) => Math.max(peak, value), 0);
  return Math.max(1, Math.ceil(most / HOUR_MS)) * HOUR_MS;
}

/** Of 100; a little use stays visible. */
export function heightOf(ms: number, scale: number): number {
  return ms === 0 ? 0 : Math.max(2, Math.round((ms / scale) * 1000) / 10);
}

/** Where `now` stands to the hour that begins at `starts_at`. */
export function placeOfHour({ starts_at }: Pick<HourOfUse, "starts_at">, now: number) {
  return { current: now >= starts_at && now < starts_at + HOUR_MS, ahead: now < starts_at };
}

/** The slot below a point at `share` (0…1) of the width. */
export function slotAt(share: number, slots: number): number {
  return Math.min(slots - 1, Math.max(0, Math.floor(share * slots)));
}

/** The slot to begin with: the one that now falls in, else the highest. */
export function startOf(slots: readonly Slot[], values: readonly number[]): number {
  const current = slots.findIndex((slot) => slot.current);
  return current === -1 ? values.indexOf(Math.max(...values)) : current;
}

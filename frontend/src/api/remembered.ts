/**
 * The last answers of addresses that are read again and again, held in the page's memory only. With their `ETag`
 * the service need not send what did not change: 304, and `BionicPRO-As-Of` says how fresh the kept answer is.
 */

import type { Freshness } from "./contract";

interface Kept {
  etag: string;
  value: unknown;
}

const MOST_ADDRESSES = 8;
const kept = new Map<string, Kept>();

/** The headers that make a request conditional, where there is something to compare with. */
export function conditional(address: string): Record<string, string> {
  const known = kept.get(address);
  return known === undefined ? {} : { "If-None-Match": known.etag };
}

/** Keeps a checked answer of 200; one without a tag is not kept. */
export function remember(address: string, response: Response, value: unknown): void {
  const etag = response.headers.get("ETag");
  kept.delete(address);
  if (etag === null) return;
  kept.set(address, { etag, value });
  // The oldest goes: a range of days that moved on at midnight is not asked for again.
  for (const oldest of kept.keys()) {
    if (kept.size <= MOST_ADDRESSES) break;
    kept.delete(oldest);
  }
}

/** What 304 stands for; undefined where nothing is kept. */
export function recalled(address: string): unknown {
  return kept.get(address)?.value;
}

/** Health data of a session that is over is not kept. */
export function forgetAnswers(): void {
  kept.clear();
}

/** How fresh the kept answer is, by the headers of 304: `Date` has whole seconds, so that this is exact to one. */
export function freshnessOf(headers: Headers): Freshness {
  const asOf = Date.parse(headers.get("BionicPRO-As-Of") ?? "");
  if (Number.isNaN(asOf)) return { as_of: null, freshness_ms: null };
  const answered = Date.parse(headers.get("Date") ?? "");
  return { as_of: asOf, freshness_ms: Number.isNaN(answered) ? null : Math.max(0, answered - asOf) };
}

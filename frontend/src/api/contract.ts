/** The part of the BFF's answers that the page uses. Instants are milliseconds since 1970-01-01 UTC. */

import {
  type Decoder,
  count,
  day,
  finite,
  flag,
  instant,
  list,
  nullable,
  object,
  table,
  text,
} from "./decode";

export interface HourOfUse {
  starts_at: number;
  ms: number;
}

export interface Usage {
  total_ms: number;
  by_hour: HourOfUse[];
}

export interface Signals {
  count: number;
  recognised_count: number;
  /** 0…1; null where there was no signal. */
  efficiency: number | null;
}

/** Percent. */
export interface Battery {
  last_percent: number;
  drain_percent: number;
}

export interface Errors {
  count: number;
  critical_count: number;
  by_code: Record<string, number>;
}

/** One prosthesis on one local day. */
export interface DailyReport {
  report_date: string;
  prosthesis_id: string;
  /** Empty where the CRM does not know the prosthesis. */
  prosthesis_model: string;
  prosthesis_serial_number: string;
  timezone: string;
  day_starts_at: number;
  day_ends_at: number;
  complete: boolean;
  usage: Usage;
  signals: Signals;
  battery: Battery | null;
  errors: Errors;
  event_count: number;
  last_event_at: number;
}

export interface Freshness {
  as_of: number | null;
  /** Age of `as_of` when the answer was made, in milliseconds. */
  freshness_ms: number | null;
}

export interface Today extends Freshness {
  items: DailyReport[];
  report_date: string;
  timezone: string;
}

export interface Page {
  items: DailyReport[];
  next_cursor: string | null;
}

export type Session =
  { authenticated: false } | { authenticated: true; name: string | null; ends_at: number | null };

const dailyReport: Decoder<DailyReport> = object<DailyReport>({
  report_date: day,
  prosthesis_id: text,
  prosthesis_model: text,
  prosthesis_serial_number: text,
  timezone: text,
  day_starts_at: instant,
  day_ends_at: instant,
  complete: flag,
  usage: object<Usage>({
    total_ms: count,
    by_hour: list(object<HourOfUse>({ starts_at: instant, ms: count })),
  }),
  signals: object<Signals>({ count, recognised_count: count, efficiency: nullable(finite) }),
  battery: nullable(object<Battery>({ last_percent: finite, drain_percent: finite })),
  errors: object<Errors>({ count, critical_count: count, by_code: table(count) }),
  event_count: count,
  last_event_at: instant,
});

const todayShape: Decoder<Today> = object<Today>({
  items: list(dailyReport),
  report_date: day,
  timezone: text,
  as_of: nullable(instant),
  freshness_ms: nullable(finite),
});

const pageShape: Decoder<Page> = object<Page>({ items: list(dailyReport), next_cursor: nullable(text) });

const freshnessShape: Decoder<Freshness> = object<Freshness>({
  as_of: nullable(instant),
  freshness_ms: nullable(finite),
});

const whoShape = object<{ authenticated: boolean }>({ authenticated: flag });
const memberShape = object<{
  name: string | null;
  expires_at: number | null;
  idle_expires_at: number | null;
}>({ name: nullable(text), expires_at: nullable(instant), idle_expires_at: nullable(instant) });

export function decodeToday(value: unknown): Today {
  return todayShape(value, "");
}

export function decodePage(value: unknown): Page {
  return pageShape(value, "");
}

export function decodeFreshness(value: unknown): Freshness {
  return freshnessShape(value, "");
}

/** `ends_at` is the earlier of the idle and the absolute end. */
export function decodeSession(value: unknown): Session {
  if (!whoShape(value, "").authenticated) return { authenticated: false };
  const { name, expires_at, idle_expires_at } = memberShape(value, "");
  const ends = [expires_at, idle_expires_at].filter((end) => end !== null);
  return { authenticated: true, name, ends_at: ends.length === 0 ? null : Math.min(...ends) };
}

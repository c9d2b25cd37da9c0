/**
 * The part of the BFF's answers that the page uses. The API's own types are generated (`openapi.ts`); here each
 * field that is used is checked when it arrives. Instants are milliseconds since 1970-01-01 UTC.
 */

import {
  type Decoded,
  count,
  day,
  finite,
  flag,
  instant,
  list,
  nullable,
  oneOf,
  shape,
  table,
  text,
} from "./decode";
import type { components } from "./openapi";

type Wire = components["schemas"];

const hourOfUse = shape<Wire["HourUsage"]>()({ starts_at: instant, ms: count });
const usage = shape<Wire["Usage"]>()({ total_ms: count, by_hour: list(hourOfUse) });
/** `efficiency`: 0…1; null where there was no signal. */
const signals = shape<Wire["Signals"]>()({ count, recognised_count: count, efficiency: nullable(finite) });
/** First and last reading of an hour; only hours with a reading are there. */
const hourOfBattery = shape<Wire["BatteryHour"]>()({
  starts_at: instant,
  first_percent: finite,
  last_percent: finite,
});
/** In percent. */
const battery = shape<Wire["Battery"]>()({
  last_percent: finite,
  drain_percent: finite,
  by_hour: list(hourOfBattery),
});
const errors = shape<Wire["Errors"]>()({ count, critical_count: count, by_code: table(count) });

/** One prosthesis on one local day. Model and serial number are empty where the CRM does not know the prosthesis. */
const dailyReport = shape<Wire["DailyReport"]>()({
  report_date: day,
  prosthesis_id: text,
  prosthesis_model: text,
  prosthesis_serial_number: text,
  customer_name: text,
  timezone: text,
  day_starts_at: instant,
  day_ends_at: instant,
  complete: flag,
  version: count,
  usage,
  signals,
  battery: nullable(battery),
  errors,
  event_count: count,
  first_event_at: instant,
  last_event_at: instant,
});

/** `freshness_ms`: age of `as_of` when the answer was made. */
const freshness = shape<Wire["Heartbeat"]>()({ as_of: nullable(instant), freshness_ms: nullable(finite) });

/** `last_known`: where there are no reports of today yet, those of the latest day with data. */
const today = shape<Wire["Today"]>()({
  items: list(dailyReport),
  last_known: list(dailyReport),
  report_date: day,
  timezone: text,
  as_of: nullable(instant),
  freshness_ms: nullable(finite),
});

const page = shape<Wire["Page"]>()({ items: list(dailyReport), next_cursor: nullable(text) });

const quartiles = shape<Wire["Quartiles"]>()({ q1: count, median: count, q3: count });
/** Active time by hour of the local day (0…23), over `days` days. */
const typicalDay = shape<Wire["TypicalDay"]>()({
  days: count,
  hours: list(shape<Wire["TypicalHour"]>()({ hour: count, ms: quartiles })),
});

/** Totals are over all days of the period; means a day, and changes, over the complete ones alone. */
const period = shape<Wire["Period"]>()({
  days_with_data: count,
  complete_days: count,
  usage: shape<Wire["UsageTotals"]>()({ mean_ms_per_day: nullable(finite) }),
  signals: shape<Wire["SignalTotals"]>()({ efficiency: nullable(finite) }),
  errors: shape<Wire["Errors"]>()({ count, critical_count: count }),
});
/** Against the period before: 0.1 is ten percent more, or ten points, or one error a day in ten; null where nothing can be said. */
const change = shape<Wire["Change"]>()({
  usage_per_day_ratio: nullable(finite),
  efficiency_difference: nullable(finite),
  errors_per_day_difference: nullable(finite),
});
const summary = shape<Wire["Summary"]>()({ current: period, change });

const occurrence = shape<Wire["ErrorOccurrence"]>()({
  occurred_at: instant,
  prosthesis_id: text,
  code: text,
  severity: oneOf("info", "warning", "critical"),
});
/** Newest first; `count` may be more than are listed. */
const errorTimes = shape<Wire["ErrorTimes"]>()({ count, occurrences: list(occurrence) });

const errorText = shape<Wire["ErrorText"]>()({ title: text, meaning: text, action: text, call: text });
/** Whom the company names for help; a number, an address, or both. */
const contact = shape<Wire["Contact"]>()({
  who: text,
  phone: nullable(text),
  mail: nullable(text),
  hours: nullable(text),
});
/** `unknown` is said of every code without a text of its own, with `{code}` in its place; `contact`: null where nobody is named. */
const errorTexts = shape<Wire["ErrorTexts"]>()({
  texts: table(errorText),
  unknown: errorText,
  contact: nullable(contact),
});

const prosthesis = shape<Wire["Prosthesis"]>()({
  prosthesis_id: text,
  model: text,
  serial_number: text,
  current: flag,
  since: nullable(instant),
  until: nullable(instant),
});
const prostheses = shape<Wire["Prostheses"]>()({ items: list(prosthesis) });

const who = shape<Wire["SessionAnswer"]>()({ authenticated: flag });
const member = shape<Wire["SessionAnswer"]>()({
  name: nullable(text),
  roles: list(text),
  expires_at: nullable(instant),
  idle_expires_at: nullable(instant),
});

export type HourOfBattery = Decoded<typeof hourOfBattery>;
export type HourOfUse = Decoded<typeof hourOfUse>;
export type Usage = Decoded<typeof usage>;
export type DailyReport = Decoded<typeof dailyReport>;
export type Freshness = Decoded<typeof freshness>;
export type Today = Decoded<typeof today>;
export type Page = Decoded<typeof page>;
export type TypicalDay = Decoded<typeof typicalDay>;
export type Summary = Decoded<typeof summary>;
export type Contact = Decoded<typeof contact>;
export type ErrorTimes = Decoded<typeof errorTimes>;
export type ErrorText = Decoded<typeof errorText>;
export type ErrorTexts = Decoded<typeof errorTexts>;
export type Prosthesis = Decoded<typeof prosthesis>;
/** `ends_at` is the session's absolute end; `idle_ends_at` moves on with what the person does. */
export type Session =
  | { authenticated: false }
  | {
      authenticated: true;
      name: string | null;
      roles: string[];
      ends_at: number | null;
      idle_ends_at: number | null;
    };

const leave = shape<Wire["LogoutAnswer"]>()({ single_sign_on_ended: flag });

/** Whether the login server's own session has ended with ours. */
export function decodeLogOut(value: unknown): boolean {
  return leave(value, "").single_sign_on_ended;
}

export function decodeToday(value: unknown): Today {
  return today(value, "");
}

export function decodePage(value: unknown): Page {
  return page(value, "");
}

export function decodeTypicalDay(value: unknown): TypicalDay {
  return typicalDay(value, "");
}

export function decodeSummary(value: unknown): Summary {
  return summary(value, "");
}

export function decodeErrorTimes(value: unknown): ErrorTimes {
  return errorTimes(value, "");
}

export function decodeErrorTexts(value: unknown): ErrorTexts {
  return errorTexts(value, "");
}

export function decodeProstheses(value: unknown): Prosthesis[] {
  return prostheses(value, "").items;
}

export function decodeFreshness(value: unknown): Freshness {
  return freshness(value, "");
}

/** Nothing but the flag where nobody is logged in. */
export function decodeSession(value: unknown): Session {
  if (!who(value, "").authenticated) return { authenticated: false };
  const { name, roles, expires_at, idle_expires_at } = member(value, "");
  return { authenticated: true, name, roles, ends_at: expires_at, idle_ends_at: idle_expires_at };
}

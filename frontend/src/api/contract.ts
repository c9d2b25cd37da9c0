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
/** In percent. */
const battery = shape<Wire["Battery"]>()({ last_percent: finite, drain_percent: finite });
const errors = shape<Wire["Errors"]>()({ count, critical_count: count, by_code: table(count) });

/** One prosthesis on one local day. Model and serial number are empty where the CRM does not know the prosthesis. */
const dailyReport = shape<Wire["DailyReport"]>()({
  report_date: day,
  prosthesis_id: text,
  prosthesis_model: text,
  prosthesis_serial_number: text,
  timezone: text,
  day_starts_at: instant,
  day_ends_at: instant,
  complete: flag,
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

const today = shape<Wire["Today"]>()({
  items: list(dailyReport),
  report_date: day,
  timezone: text,
  as_of: nullable(instant),
  freshness_ms: nullable(finite),
});

const page = shape<Wire["Page"]>()({ items: list(dailyReport), next_cursor: nullable(text) });

const who = shape<Wire["SessionAnswer"]>()({ authenticated: flag });
const member = shape<Wire["SessionAnswer"]>()({
  name: nullable(text),
  roles: list(text),
  expires_at: nullable(instant),
  idle_expires_at: nullable(instant),
});

export type HourOfUse = Decoded<typeof hourOfUse>;
export type Usage = Decoded<typeof usage>;
export type DailyReport = Decoded<typeof dailyReport>;
export type Freshness = Decoded<typeof freshness>;
export type Today = Decoded<typeof today>;
export type Page = Decoded<typeof page>;
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

export function decodeFreshness(value: unknown): Freshness {
  return freshness(value, "");
}

/** Nothing but the flag where nobody is logged in. */
export function decodeSession(value: unknown): Session {
  if (!who(value, "").authenticated) return { authenticated: false };
  const { name, roles, expires_at, idle_expires_at } = member(value, "");
  return { authenticated: true, name, roles, ends_at: expires_at, idle_ends_at: idle_expires_at };
}

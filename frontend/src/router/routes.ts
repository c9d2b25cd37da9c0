/**
 * The page's addresses, both ways: what an address names, and how what is named is addressed. `/support/USER/…` are
 * the same pages of somebody else's reports, for the support desk. The API's own addresses (`/reports`, `/users`)
 * are none of the page's, so that the reports to print live at `/export`.
 */

export const RANGE_DAYS = [7, 30, 90] as const;

/** The last so many days, or both ends of a period, `YYYY-MM-DD`. */
export type Period = { days: (typeof RANGE_DAYS)[number] } | { from: string; to: string };

export type Route =
  | { page: "today"; prosthesis: string | null }
  | { page: "history"; period: Period; prosthesis: string | null }
  | { page: "day"; day: string; prosthesis: string | null }
  | { page: "error"; code: string }
  | { page: "export" }
  | { page: "more" }
  | { page: "support" }
  | { page: "unknown" };

export interface Place {
  /** Whose reports; null: the reader's own. */
  subject: string | null;
  route: Route;
}

/** The longest period that the API answers. */
export const MOST_DAYS = 366;
const DAY_MS = 86_400_000;
const USER = /^\/support\/([A-Za-z0-9][A-Za-z0-9_-]{0,127})(\/.*)$/;
const CODE = /^\/errors\/([A-Za-z0-9_.-]{1,64})$/;
const UNKNOWN: Route = { page: "unknown" };

export function placeOf(address: string): Place {
  const { pathname, searchParams } = new URL(address, "http://page.invalid");
  const [, user, rest] = USER.exec(pathname) ?? [];
  const subject = user ?? null;
  return { subject, route: routeOf(rest ?? pathname, searchParams, subject) };
}

function routeOf(path: string, query: URLSearchParams, subject: string | null): Route {
  const prosthesis = query.get("prosthesis");
  const code = CODE.exec(path)?.[1];
  if (code !== undefined) return { page: "error", code };
  if (path.startsWith("/day/")) return dayRoute(path.slice("/day/".length), prosthesis);
  switch (path) {
    case "/":
      return subject === null ? { page: "today", prosthesis } : UNKNOWN;
    case "/today":
      return { page: "today", prosthesis };
    case "/history":
      return historyRoute(query.get("range"), prosthesis);
    case "/export":
      return { page: "export" };
    case "/more":
    case "/support":
      // One's own settings, and the desk itself, are nobody else's.
      return subject === null ? { page: path === "/more" ? "more" : "support" } : UNKNOWN;
    default:
      return UNKNOWN;
  }
}

function dayRoute(day: string, prosthesis: string | null): Route {
  return isDay(day) ? { page: "day", day, prosthesis } : UNKNOWN;
}

function historyRoute(range: string | null, prosthesis: string | null): Route {
  const period = periodOf(range ?? "7");
  return period === null ? UNKNOWN : { page: "history", period, prosthesis };
}

/** What `range` names; null where it is neither a number of days nor two days in order, not too far apart. */
export function periodOf(range: string): Period | null {
  const days = RANGE_DAYS.find((known) => String(known) === range);
  if (days !== undefined) return { days };
  const [from, to, more] = range.split("..");
  if (from === undefined || to === undefined || more !== undefined || !isDay(from) || !isDay(to)) return null;
  const length = (Date.parse(to) - Date.parse(from)) / DAY_MS + 1;
  return length >= 1 && length <= MOST_DAYS ? { from, to } : null;
}

/** A date of the calendar, `YYYY-MM-DD`. */
export function isDay(text: string): boolean {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) return false;
  const at = Date.parse(`${text}T00:00:00Z`);
  return !Number.isNaN(at) && new Date(at).toISOString().startsWith(text);
}

export function addressOf({ subject, route }: Place): string {
  return (subject === null ? "" : `/support/${subject}`) + pathOf(route);
}

function pathOf(route: Route): string {
  switch (route.page) {
    case "history":
      return `/history${query({ range: rangeOf(route.period), prosthesis: route.prosthesis })}`;
    case "day":
      return `/day/${route.day}${query({ prosthesis: route.prosthesis })}`;
    case "error":
      return `/errors/${encodeURIComponent(route.code)}`;
    case "today":
      return `/today${query({ prosthesis: route.prosthesis })}`;
    default:
      return `/${route.page}`;
  }
}

export function rangeOf(period: Period): string {
  return "days" in period ? String(period.days) : `${period.from}..${period.to}`;
}

function query(values: Record<string, string | null>): string {
  const pairs = Object.entries(values).flatMap(([name, value]) => (value === null ? [] : [[name, value]]));
  return pairs.length === 0 ? "" : `?${String(new URLSearchParams(pairs))}`;
}

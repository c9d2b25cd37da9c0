/** Numbers and instants as text of one language and, for instants, one time zone. */

export type Language = "en" | "ru";

const LOCALE: Record<Language, string> = { en: "en-GB", ru: "ru-RU" };
const SECOND_MS = 1_000;
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;

/** How a locale writes decimals, and with that what its spreadsheets expect of a table. */
export function decimalOf(locale: string): "point" | "comma" {
  const parts = new Intl.NumberFormat(locale).formatToParts(0.5);
  return parts.some(({ type, value }) => type === "decimal" && value === ",") ? "comma" : "point";
}

export interface DurationParts {
  hours: number;
  minutes: number;
  seconds: number;
}

/** Whole hours, minutes and seconds of a duration, what is less than a second cut off; the sign is ignored. */
export function durationParts(ms: number): DurationParts {
  const all = Math.abs(Math.trunc(ms));
  return {
    hours: Math.floor(all / HOUR_MS),
    minutes: Math.floor((all % HOUR_MS) / MINUTE_MS),
    seconds: Math.floor((all % MINUTE_MS) / SECOND_MS),
  };
}

export function formatInteger(value: number, language: Language): string {
  return new Intl.NumberFormat(LOCALE[language], { maximumFractionDigits: 0 }).format(value);
}

/** A share of 0…1 as percent with one decimal. */
export function formatShare(share: number, language: Language): string {
  return new Intl.NumberFormat(LOCALE[language], {
    style: "percent",
    minimumFractionDigits: 1,
    maximumFractionDigits: 1,
  }).format(share);
}

/** Percent (0…100) with at most one decimal. */
export function formatPercent(percent: number, language: Language): string {
  return new Intl.NumberFormat(LOCALE[language], { style: "percent", maximumFractionDigits: 1 }).format(
    percent / 100,
  );
}

/** A difference of shares in percentage points, without sign or unit. */
export function formatPoints(share: number, language: Language): string {
  return new Intl.NumberFormat(LOCALE[language], {
    minimumFractionDigits: 1,
    maximumFractionDigits: 1,
  }).format(Math.abs(share) * 100);
}

export function formatTime(instant: number, timeZone: string, language: Language): string {
  return inZone({ hour: "2-digit", minute: "2-digit", second: "2-digit" }, timeZone, language, instant);
}

export function formatHour(instant: number, timeZone: string, language: Language): string {
  return inZone({ hour: "2-digit", minute: "2-digit" }, timeZone, language, instant);
}

export function formatDate(date: string, language: Language): string {
  const options: Intl.DateTimeFormatOptions = { weekday: "long", day: "numeric", month: "long" };
  return inZone(options, "UTC", language, Date.parse(`${date}T00:00:00Z`));
}

export function formatShortDate(date: string, language: Language): string {
  const options: Intl.DateTimeFormatOptions = { weekday: "short", day: "numeric", month: "short" };
  return inZone(options, "UTC", language, Date.parse(`${date}T00:00:00Z`));
}

const formatters = new Map<string, Intl.DateTimeFormat>();

// Making a formatter is slow, and the clock line uses one every second; the keys are few.
function inZone(
  options: Intl.DateTimeFormatOptions,
  timeZone: string,
  language: Language,
  instant: number,
): string {
  const key = JSON.stringify([options, timeZone, language]);
  let formatter = formatters.get(key);
  if (formatter === undefined) {
    formatter = formatterFor({ ...options, hourCycle: "h23" }, timeZone, language);
    formatters.set(key, formatter);
  }
  return formatter.format(instant);
}

/** A zone that this browser does not know is shown in UTC, as the reports treat one too. */
function formatterFor(options: Intl.DateTimeFormatOptions, timeZone: string, language: Language) {
  try {
    return new Intl.DateTimeFormat(LOCALE[language], { ...options, timeZone });
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return new Intl.DateTimeFormat(LOCALE[language], { ...options, timeZone: "UTC" });
  }
}

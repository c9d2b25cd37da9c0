/** Numbers and instants as text of one locale and, for instants, one time zone. */

export type Language = "en" | "ru";
/** What the reader chose; `auto` follows the browser. */
export type Clock = "auto" | "12" | "24";

/** How numbers, dates and times are written. */
export interface Locale {
  tag: string;
  hourCycle: "h12" | "h23";
}

const DEFAULT_TAG: Record<Language, string> = { en: "en-GB", ru: "ru-RU" };
const SECOND_MS = 1_000;

/** The first of the browser's own locales (`preferred`) in the page's language, so that US readers get US dates. */
export function localeOf(language: Language, preferred: readonly string[], clock: Clock): Locale {
  const tag =
    preferred.find((wish) => wish.toLowerCase().split("-")[0] === language && wish.includes("-")) ??
    DEFAULT_TAG[language];
  if (clock !== "auto") return { tag, hourCycle: clock === "12" ? "h12" : "h23" };
  const usual = new Intl.DateTimeFormat(tag, { hour: "numeric" }).resolvedOptions().hourCycle ?? "h23";
  return { tag, hourCycle: usual === "h11" || usual === "h12" ? "h12" : "h23" };
}
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

export function formatInteger(value: number, locale: Locale): string {
  return new Intl.NumberFormat(locale.tag, { maximumFractionDigits: 0 }).format(value);
}

/** A share of 0…1 in whole percent. */
export function formatShare(share: number, locale: Locale): string {
  return new Intl.NumberFormat(locale.tag, {
    style: "percent",
    maximumFractionDigits: 0,
  }).format(share);
}

/** Percent (0…100), whole: a battery does not know itself better. */
export function formatPercent(percent: number, locale: Locale): string {
  return new Intl.NumberFormat(locale.tag, { style: "percent", maximumFractionDigits: 0 }).format(
    percent / 100,
  );
}

/** A number a day, without sign, to a tenth. */
export function formatRate(value: number, locale: Locale): string {
  return new Intl.NumberFormat(locale.tag, { maximumFractionDigits: 1 }).format(Math.abs(value));
}

/** A difference of shares in whole percentage points, without sign or unit. */
export function formatPoints(share: number, locale: Locale): string {
  return new Intl.NumberFormat(locale.tag, { maximumFractionDigits: 0 }).format(Math.abs(share) * 100);
}

/** A time of day to the minute. */
export function formatTime(instant: number, timeZone: string, locale: Locale): string {
  const hour = locale.hourCycle === "h12" ? "numeric" : "2-digit";
  return inZone({ hour, minute: "2-digit" }, timeZone, locale, instant);
}

/** The hour alone, as short as a chart's axis has room for. */
export function formatTick(instant: number, timeZone: string, locale: Locale): string {
  const hour = locale.hourCycle === "h12" ? "numeric" : "2-digit";
  return inZone({ hour }, timeZone, locale, instant);
}

export function formatDate(date: string, locale: Locale): string {
  const options: Intl.DateTimeFormatOptions = { weekday: "long", day: "numeric", month: "long" };
  return inZone(options, "UTC", locale, Date.parse(`${date}T00:00:00Z`));
}

export function formatShortDate(date: string, locale: Locale): string {
  const options: Intl.DateTimeFormatOptions = { weekday: "short", day: "numeric", month: "short" };
  return inZone(options, "UTC", locale, Date.parse(`${date}T00:00:00Z`));
}

export function formatWeekday(date: string, locale: Locale): string {
  return inZone({ weekday: "short" }, "UTC", locale, Date.parse(`${date}T00:00:00Z`));
}

/** A date that need not be of this year. */
export function formatFullDate(date: string, locale: Locale): string {
  const options: Intl.DateTimeFormatOptions = { day: "numeric", month: "long", year: "numeric" };
  return inZone(options, "UTC", locale, Date.parse(`${date}T00:00:00Z`));
}

/** The local date of an instant. */
export function formatMomentDate(instant: number, timeZone: string, locale: Locale): string {
  return inZone({ day: "numeric", month: "long", year: "numeric" }, timeZone, locale, instant);
}

const formatters = new Map<string, Intl.DateTimeFormat>();

// Making a formatter is slow, and a chart asks for one a slot; the keys are few.
function inZone(
  options: Intl.DateTimeFormatOptions,
  timeZone: string,
  locale: Locale,
  instant: number,
): string {
  const key = JSON.stringify([options, timeZone, locale]);
  let formatter = formatters.get(key);
  if (formatter === undefined) {
    formatter = formatterFor({ ...options, hourCycle: locale.hourCycle }, timeZone, locale);
    formatters.set(key, formatter);
  }
  return formatter.format(instant);
}

/** A zone that this browser does not know is shown in UTC, as the reports treat one too. */
function formatterFor(options: Intl.DateTimeFormatOptions, timeZone: string, locale: Locale) {
  try {
    return new Intl.DateTimeFormat(locale.tag, { ...options, timeZone });
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return new Intl.DateTimeFormat(locale.tag, { ...options, timeZone: "UTC" });
  }
}

import { type Language, durationParts } from "../domain/format";
import { type Catalogue, type MessageKey, en } from "./en";
import { ru } from "./ru";

export const CATALOGUES: Record<Language, Catalogue> = { en, ru };
export const LANGUAGES: readonly Language[] = ["en", "ru"];

export type Values = Readonly<Record<string, string | number>>;
export type Translate = (key: MessageKey, values?: Values) => string;

/** The text with its `{placeholders}` filled; one without a value stays visible as it is. */
export function translatorFor(language: Language): Translate {
  const catalogue = CATALOGUES[language];
  return (key, values = {}) =>
    catalogue[key].replace(/\{(\w+)\}/g, (placeholder, name: string) => String(values[name] ?? placeholder));
}

/** A duration to the minute: what moves a muscle is not measured better than that by looking at it. */
export function durationText(ms: number, t: Translate): string {
  const { hours, minutes } = durationParts(ms);
  if (hours > 0) return t("duration.hours", { hours, minutes });
  return minutes === 0 && ms !== 0 ? t("duration.less") : t("duration.minutes", { minutes });
}

const MINUTE_MS = 60_000;
const COARSE_MS = 5 * MINUTE_MS;

/** A difference as one says it: to five minutes where it is longer than ten. */
export function roughDuration(ms: number, t: Translate): string {
  const step = Math.abs(ms) > 2 * COARSE_MS ? COARSE_MS : MINUTE_MS;
  return durationText(Math.round(Math.abs(ms) / step) * step, t);
}

/** The remembered language, else the first of the browser's that there is a catalogue for, else English. */
export function chooseLanguage(remembered: string | null, preferred: readonly string[]): Language {
  const wishes = remembered === null ? preferred : [remembered, ...preferred];
  for (const wish of wishes) {
    const language = LANGUAGES.find((known) => wish.toLowerCase().split("-")[0] === known);
    if (language !== undefined) return language;
  }
  return "en";
}

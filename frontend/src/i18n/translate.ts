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

/** A duration in the two units that matter for its size. */
export function durationText(ms: number, t: Translate): string {
  const { hours, minutes, seconds } = durationParts(ms);
  if (hours > 0) return t("duration.hours", { hours, minutes });
  if (minutes > 0) return t("duration.minutes", { minutes, seconds });
  return t("duration.seconds", { seconds });
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

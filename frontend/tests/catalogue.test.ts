import { describe, expect, it } from "vitest";
import {
  CATALOGUES,
  chooseLanguage,
  durationText,
  roughDuration,
  translatorFor,
} from "../src/i18n/translate";

function placeholders(text: string): string[] {
  return [...text.matchAll(/\{(\w+)\}/g)].map((match) => match[1] ?? "").sort();
}

describe("the message catalogues", () => {
  const { en, ru } = CATALOGUES;

  it("have the same keys in the same order", () => {
    expect(Object.keys(ru)).toEqual(Object.keys(en));
  });

  it.each(Object.keys(en) as (keyof typeof en)[])("use the same placeholders for %s", (key) => {
    expect(placeholders(ru[key])).toEqual(placeholders(en[key]));
  });

  it("have no empty text", () => {
    for (const catalogue of [en, ru])
      expect(Object.values(catalogue).filter((text) => text === "")).toEqual([]);
  });

  it("are in their own script", () => {
    expect(Object.values(en).filter((text) => /[а-яё]/i.test(text))).toEqual([]);
    const latin = Object.entries(ru).filter(([, text]) => !/[а-яё–]/i.test(text.replace(/\{\w+\}/g, "")));
    expect(latin.map(([key]) => key)).toEqual(["chart.bar"]);
  });
});

describe("a translator", () => {
  it("fills placeholders and leaves unknown ones visible", () => {
    const t = translatorFor("en");
    expect(t("compare.more", { amount: "5 min" })).toBe("about 5 min more than usual by now");
    expect(t("compare.more")).toContain("{amount}");
  });

  it("does not read replacement patterns in values", () => {
    expect(translatorFor("en")("today.serial", { serial: "$&{id}" })).toBe("Serial number $&{id}");
  });

  it.each([
    [0, "0 min"],
    [59_999, "less than a minute"],
    [60_000, "1 min"],
    [3_600_000, "1 h 0 min"],
    [90_061_000, "25 h 1 min"],
  ])("tells %d ms to the minute: %s", (ms, text) => {
    expect(durationText(ms, translatorFor("en"))).toBe(text);
  });

  it.each([
    [-1_738_000, "30 min"],
    [1_738_000, "30 min"],
    [590_000, "10 min"],
    [130_000, "2 min"],
  ])("tells a difference of %d ms without false precision: %s", (ms, text) => {
    expect(roughDuration(ms, translatorFor("en"))).toBe(text);
  });
});

describe("the language", () => {
  it.each([
    [null, ["ru-RU", "en"], "ru"],
    [null, ["de", "en-US"], "en"],
    [null, ["de"], "en"],
    [null, [], "en"],
    ["en", ["ru"], "en"],
    ["klingon", ["ru"], "ru"],
  ] as const)("remembered %j, preferred %j: %s", (remembered, preferred, language) => {
    expect(chooseLanguage(remembered, preferred)).toBe(language);
  });
});

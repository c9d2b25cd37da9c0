import { describe, expect, it } from "vitest";
import {
  type Locale,
  decimalOf,
  durationParts,
  formatDate,
  formatInteger,
  formatPercent,
  formatPoints,
  formatShare,
  formatTick,
  formatTime,
  localeOf,
} from "../src/domain/format";

const AT = Date.parse("2026-11-23T21:03:05Z");
const GB: Locale = { tag: "en-GB", hourCycle: "h23" };
const US: Locale = { tag: "en-US", hourCycle: "h12" };
const RU: Locale = { tag: "ru-RU", hourCycle: "h23" };

describe("the locale", () => {
  it.each([
    ["en", ["en-US", "en"], "auto", US],
    ["en", ["ru-RU", "en-US"], "24", { tag: "en-US", hourCycle: "h23" }],
    ["en", ["ru-RU"], "auto", GB],
    ["en", ["en"], "12", { tag: "en-GB", hourCycle: "h12" }],
    ["ru", ["en-US"], "auto", RU],
  ] as const)(
    "of a page in %s for a browser of %j with the clock %s",
    (language, preferred, clock, expected) => {
      expect(localeOf(language, preferred, clock)).toEqual(expected);
    },
  );
});

describe("formatting", () => {
  it("shows instants in the given zone to the minute, midnight as 00", () => {
    expect(formatTime(AT, "Europe/Moscow", GB)).toBe("00:03");
    expect(formatTime(AT, "Asia/Kolkata", RU)).toBe("02:33");
    expect(formatTick(AT, "Europe/Moscow", GB)).toBe("00");
  });

  it("shows US readers their own clock and dates", () => {
    expect(formatTime(AT, "America/New_York", US)).toMatch(/^4:03\sPM$/);
    expect(formatTick(AT, "America/New_York", US)).toMatch(/^4\sPM$/);
    expect(formatDate("2026-11-23", US)).toBe("Monday, November 23");
  });

  it("shows a zone unknown to the browser in UTC", () => {
    expect(formatTime(AT, "Mars/Olympus", GB)).toBe("21:03");
  });

  it("shows dates without moving them by a zone", () => {
    expect(formatDate("2026-11-23", GB)).toBe("Monday 23 November");
    expect(formatDate("2026-11-23", RU)).toContain("23 ноября");
  });

  it("groups and rounds as the language does, without false precision", () => {
    expect(formatInteger(1234567, GB)).toBe("1,234,567");
    expect(formatShare(0.94049, GB)).toBe("94%");
    expect(formatShare(0.94049, RU)).toBe("94\u00a0%");
    expect(formatPercent(64.35, GB)).toBe("64%");
    expect(formatPoints(-0.0391, GB)).toBe("4");
  });

  it("knows whose spreadsheets have a decimal comma", () => {
    expect(["de-DE", "ru-RU", "en-US", "en-GB"].map(decimalOf)).toEqual(["comma", "comma", "point", "point"]);
  });

  it("cuts durations into parts, whatever their sign", () => {
    expect(durationParts(90_061_999)).toEqual({ hours: 25, minutes: 1, seconds: 1 });
    expect(durationParts(-61_000)).toEqual({ hours: 0, minutes: 1, seconds: 1 });
  });
});

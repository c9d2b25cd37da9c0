import { describe, expect, it } from "vitest";
import {
  decimalOf,
  durationParts,
  formatDate,
  formatHour,
  formatInteger,
  formatPercent,
  formatPoints,
  formatShare,
  formatTime,
} from "../src/domain/format";

const AT = Date.parse("2026-11-23T21:03:05Z");

describe("formatting", () => {
  it("shows instants in the given zone, midnight as 00", () => {
    expect(formatTime(AT, "Europe/Moscow", "en")).toBe("00:03:05");
    expect(formatHour(AT, "Asia/Kolkata", "ru")).toBe("02:33");
  });

  it("shows a zone unknown to the browser in UTC", () => {
    expect(formatTime(AT, "Mars/Olympus", "en")).toBe("21:03:05");
  });

  it("shows dates without moving them by a zone", () => {
    expect(formatDate("2026-11-23", "en")).toBe("Monday 23 November");
    expect(formatDate("2026-11-23", "ru")).toContain("23 ноября");
  });

  it("groups and rounds as the language does", () => {
    expect(formatInteger(1234567, "en")).toBe("1,234,567");
    expect(formatShare(0.94049, "en")).toBe("94.0%");
    expect(formatShare(0.94049, "ru")).toBe("94,0\u00a0%");
    expect(formatPercent(64.35, "en")).toMatch(/^64\.[34]%$/);
    expect(formatPercent(64, "en")).toBe("64%");
    expect(formatPoints(-0.0391, "en")).toBe("3.9");
  });

  it("knows whose spreadsheets have a decimal comma", () => {
    expect(["de-DE", "ru-RU", "en-US", "en-GB"].map(decimalOf)).toEqual(["comma", "comma", "point", "point"]);
  });

  it("cuts durations into parts, whatever their sign", () => {
    expect(durationParts(90_061_999)).toEqual({ hours: 25, minutes: 1, seconds: 1 });
    expect(durationParts(-61_000)).toEqual({ hours: 0, minutes: 1, seconds: 1 });
  });
});

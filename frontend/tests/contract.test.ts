import { describe, expect, it } from "vitest";
import { decodePage, decodeSession, decodeToday } from "../src/api/contract";
import { report, reportJson, todayJson } from "./support/reports";

describe("the answers of the API", () => {
  it("become reports with instants as numbers", () => {
    expect(decodeToday(todayJson()).items).toMatchObject([report()]);
  });

  it("may have fields that the page does not know", () => {
    expect(decodePage({ items: [{ ...reportJson(), novelty: 1 }], next_cursor: null }).items).toHaveLength(1);
  });

  it("may lack a battery, an efficiency and an as_of", () => {
    const today = decodeToday(todayJson([{ drain: null, signals: [0, 0] }], null));
    expect(today.as_of).toBeNull();
    expect(today.items[0]?.battery).toBeNull();
    expect(today.items[0]?.signals.efficiency).toBeNull();
  });

  it.each([
    ["items[0].usage.total_ms", { usage: { total_ms: "12", by_hour: [] } }],
    [
      "items[0].usage.by_hour[0].ms",
      { usage: { total_ms: 1, by_hour: [{ starts_at: "2026-11-23", ms: -1 }] } },
    ],
    ["items[0].event_count", { event_count: 1.5 }],
    ["items[0].report_date", { report_date: "yesterday" }],
    ["items[0].day_starts_at", { day_starts_at: "soon" }],
    ["items[0].errors.by_code.E1", { errors: { count: 1, critical_count: 0, by_code: { E1: null } } }],
    ["items[0].signals", { signals: null }],
  ])("are refused by the place that is wrong: %s", (place, change) => {
    const broken = { ...todayJson(), items: [{ ...reportJson(), ...change }] };
    expect(() => decodeToday(broken)).toThrow(`${place}: expected`);
  });

  it.each([null, [], "text", 7])("are refused where they are no object: %j", (answer) => {
    expect(() => decodeToday(answer)).toThrow("the answer: expected an object");
  });
});

describe("the session", () => {
  it("has two ends, of which the person moves one", () => {
    const session = decodeSession({
      authenticated: true,
      name: "Anna",
      roles: ["wearer"],
      expires_at: "2026-11-23T20:00:00Z",
      idle_expires_at: "2026-11-23T12:00:00Z",
    });
    expect(session).toEqual({
      authenticated: true,
      name: "Anna",
      roles: ["wearer"],
      ends_at: Date.parse("2026-11-23T20:00:00Z"),
      idle_ends_at: Date.parse("2026-11-23T12:00:00Z"),
    });
  });

  it("needs nothing but the flag where nobody is logged in", () => {
    expect(decodeSession({ authenticated: false })).toEqual({ authenticated: false });
  });
});

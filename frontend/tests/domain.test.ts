import { describe, expect, it } from "vitest";
import { barsOf, scaleOf } from "../src/domain/chart";
import { compare, usageWithin } from "../src/domain/comparison";
import { addDays, lastDays } from "../src/domain/days";
import { efficiencyOf, historyRows, totalsOf } from "../src/domain/history";
import { HOUR, report } from "./support/reports";

const NOON = Date.parse("2026-11-23T12:00:00Z");

describe("dates", () => {
  it("cross months, years and leap days", () => {
    expect(addDays("2026-03-01", -1)).toBe("2026-02-28");
    expect(addDays("2028-02-28", 1)).toBe("2028-02-29");
    expect(addDays("2026-12-31", 1)).toBe("2027-01-01");
  });

  it("go back from the newest", () => {
    expect(lastDays("2026-01-01", 3)).toEqual(["2026-01-01", "2025-12-31", "2025-12-30"]);
  });
});

describe("use within a part of a day", () => {
  const { usage } = report({ hours: [100, 200, 400] });

  it.each([
    [-HOUR, 0],
    [0, 0],
    [HOUR, 100],
    [1.5 * HOUR, 200],
    [3 * HOUR, 700],
    [48 * HOUR, 700],
  ])("of %d ms is %d ms", (elapsed, expected) => {
    expect(usageWithin(usage, elapsed)).toBe(expected);
  });
});

describe("the comparison with earlier days", () => {
  const morning = Array.from({ length: 24 }, (_, hour) => (hour < 12 ? 1000 : 5000));
  const earlier = [
    report({ date: "2026-11-22", hours: morning, signals: [100, 80] }),
    report({ date: "2026-11-21", hours: morning.map((ms) => ms * 3), signals: [300, 280] }),
  ];

  it("counts the use of earlier days up to the same time only", () => {
    const today = report({ hours: morning, signals: [10, 9] });
    const result = compare({ ...today, usage: { ...today.usage, total_ms: 20_000 } }, earlier, NOON);
    expect(result).toEqual({
      days: 2,
      usualUsageMs: 24_000,
      usageDifferenceMs: -4_000,
      efficiencyDifference: 0,
    });
  });

  it("leaves out other prostheses, today itself and later days", () => {
    const others = [
      report({ date: "2026-11-22", prosthesis: "18" }),
      report({ date: "2026-11-23" }),
      report({ date: "2026-11-24" }),
    ];
    expect(compare(report(), others, NOON)).toBeNull();
    expect(compare(report(), [...others, ...earlier], NOON)?.days).toBe(2);
  });

  it("says nothing about efficiency where one side has no signals", () => {
    expect(compare(report({ signals: [0, 0] }), earlier, NOON)?.efficiencyDifference).toBeNull();
    const silent = [report({ date: "2026-11-22", signals: [0, 0] })];
    expect(compare(report(), silent, NOON)?.efficiencyDifference).toBeNull();
  });
});

describe("the last seven days", () => {
  it("have one row a date, the newest first, gaps included", () => {
    const rows = historyRows([report({ date: "2026-11-21" })], [report()], "2026-11-23");
    expect(rows.map((row) => [row.date, row.totals !== null])).toEqual([
      ["2026-11-23", true],
      ["2026-11-22", false],
      ["2026-11-21", true],
      ["2026-11-20", false],
      ["2026-11-19", false],
      ["2026-11-18", false],
      ["2026-11-17", false],
    ]);
  });

  it("take today from the live numbers, not from the stored ones", () => {
    const [row] = historyRows([report({ hours: [5] })], [report({ hours: [9] })], "2026-11-23");
    expect(row?.totals?.usageMs).toBe(9);
  });

  it("add prostheses up, except the drain, which is each one's own", () => {
    const totals = totalsOf([
      report({ hours: [5], signals: [10, 5], errors: [2, 1], drain: 40 }),
      report({ prosthesis: "18", hours: [7], signals: [30, 30], errors: [1, 0], drain: null }),
    ]);
    expect(totals).toEqual({
      usageMs: 12,
      signals: 40,
      recognised: 35,
      errors: 3,
      criticalErrors: 1,
      drains: [{ prosthesis: "BP-17", percent: 40 }],
    });
    expect(efficiencyOf({ signals: 40, recognised: 35 })).toBe(0.875);
    expect(efficiencyOf({ signals: 0, recognised: 0 })).toBeNull();
  });
});

describe("the chart of hours", () => {
  const start = Date.parse("2026-11-23T00:00:00Z");
  const slots = (length: number, ms = 0) =>
    Array.from({ length }, (_, index) => ({ starts_at: start + index * HOUR, ms }));

  it.each([23, 24, 25])("has %d bars where the day has as many hours", (length) => {
    expect(barsOf(slots(length), NOON)).toHaveLength(length);
  });

  it("reaches to one hour, or further in whole hours where an hour holds more", () => {
    expect(scaleOf(slots(24, HOUR / 2))).toBe(HOUR);
    expect(scaleOf(slots(24, HOUR + 1))).toBe(2 * HOUR);
    expect(scaleOf([])).toBe(HOUR);
  });

  it("shows a little use as a visible bar and none as no bar", () => {
    const [little, none] = barsOf([{ starts_at: start, ms: 1 }, ...slots(1)], NOON);
    expect(little?.height).toBe(2);
    expect(none?.height).toBe(0);
  });

  it("marks the hour that now falls in, and those ahead", () => {
    const bars = barsOf(slots(24), NOON);
    expect(bars.findIndex((bar) => bar.current)).toBe(12);
    expect(bars.findIndex((bar) => bar.ahead)).toBe(13);
  });
});

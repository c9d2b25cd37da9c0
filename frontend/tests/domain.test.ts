import { describe, expect, it } from "vitest";
import { type Told, attentionOf, newsOf } from "../src/domain/attention";
import { heightOf, placeOfHour, scaleOf, slotAt } from "../src/domain/plot";
import { compare, usageWithin } from "../src/domain/comparison";
import { addDays, lastDays } from "../src/domain/days";
import { efficiencyOf, historyRows, rangeBefore, rangeOfPeriod, totalsOf } from "../src/domain/history";
import { changedAfter } from "../src/domain/late";
import { batteryUntil, paceOf } from "../src/domain/outlook";
import { decodeToday } from "../src/api/contract";
import { HOUR, report, todayJson } from "./support/reports";

const NOON = Date.parse("2026-11-23T12:00:00Z");

describe("late and corrected data", () => {
  const of = (date: string, version: number, prosthesis = "17") => report({ date, version, prosthesis });

  it("is told where a later day's last event was already in", () => {
    const day = [of("2026-11-20", 9)];
    const later = [of("2026-11-21", 7), of("2026-11-22", 8), of("2026-11-23", 12)];
    expect(changedAfter(day, later)).toBe(later[1]?.last_event_at);
  });

  it("is not told of days that only followed, of the day itself, or by another prosthesis", () => {
    expect(changedAfter([of("2026-11-20", 5)], [of("2026-11-21", 6), of("2026-11-22", 5)])).toBeNull();
    expect(changedAfter([of("2026-11-20", 5)], [of("2026-11-19", 1), of("2026-11-20", 1)])).toBeNull();
    expect(changedAfter([of("2026-11-20", 5)], [of("2026-11-21", 1, "18")])).toBeNull();
    expect(changedAfter([], [of("2026-11-21", 1)])).toBeNull();
  });
});

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

const WEEK = { from: "2026-11-17", to: "2026-11-23" };
const live = (...items: ReturnType<typeof report>[]) => ({ date: "2026-11-23", items });

describe("the days of a period", () => {
  it("have one row a date, the newest first, gaps included", () => {
    const rows = historyRows([report({ date: "2026-11-21" })], live(report()), WEEK);
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
    const [row] = historyRows([report({ hours: [5] })], live(report({ hours: [9] })), WEEK);
    expect(row?.totals?.usageMs).toBe(9);
  });

  it("end today where they are the last so many, and are compared with as many before", () => {
    expect(rangeOfPeriod({ days: 7 }, "2026-11-23")).toEqual(WEEK);
    expect(rangeOfPeriod({ from: "2026-01-30", to: "2026-03-01" }, "2026-11-23").to).toBe("2026-03-01");
    expect(rangeBefore(WEEK)).toEqual({ from: "2026-11-10", to: "2026-11-16" });
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

describe("charts", () => {
  const start = Date.parse("2026-11-23T00:00:00Z");

  it("reach to one hour, or further in whole hours where more happened", () => {
    expect(scaleOf([HOUR / 2])).toBe(HOUR);
    expect(scaleOf([HOUR + 1])).toBe(2 * HOUR);
    expect(scaleOf([])).toBe(HOUR);
  });

  it("show a little use as a visible bar and none as no bar", () => {
    expect([0, 1, HOUR / 2, HOUR].map((ms) => heightOf(ms, HOUR))).toEqual([0, 2, 50, 100]);
  });

  it("know the hour that now falls in, and those ahead", () => {
    const of = (hour: number) => placeOfHour({ starts_at: start + hour * HOUR }, NOON);
    expect([of(11), of(12), of(13)]).toEqual([
      { current: false, ahead: false },
      { current: true, ahead: false },
      { current: false, ahead: true },
    ]);
  });

  it("find the slot below a finger, also at and beyond the edges", () => {
    expect([-1, 0, 0.5, 0.999, 1, 2].map((share) => slotAt(share, 24))).toEqual([0, 0, 12, 23, 23, 23]);
  });
});

describe("the day in one sentence", () => {
  const of = (usageDifferenceMs: number, usualUsageMs: number) =>
    paceOf({ days: 7, usualUsageMs, usageDifferenceMs, efficiencyDifference: null });

  it("calls a day usual within 15 percent, or ten minutes", () => {
    expect([of(8.9 * HOUR * 0.15, 9 * HOUR), of(2 * HOUR, 9 * HOUR), of(-2 * HOUR, 9 * HOUR)]).toEqual([
      "usual",
      "more",
      "less",
    ]);
    expect(of(600_000, 0)).toBe("usual");
    expect(of(600_001, 0)).toBe("more");
  });

  const day = (last: number, drain: number, hours: number) => ({
    ...report({ drain }),
    battery: { last_percent: last, drain_percent: drain, by_hour: [] },
    first_event_at: NOON - hours * HOUR,
    last_event_at: NOON,
  });

  it("tells until when the battery lasts at the day's pace, to the half hour", () => {
    // 40 % in 4 h: 10 % an hour, so that 54 % last 5.4 h.
    expect(batteryUntil(day(54, 40, 4), NOON)).toBe(Date.parse("2026-11-23T17:00:00Z"));
    expect(batteryUntil(day(90, 20, 4), NOON)).toBe("all-day");
    expect(batteryUntil(day(1, 40, 4), NOON)).toBe(NOON);
  });

  it("tells nothing where the day says too little, or is long ago", () => {
    expect(batteryUntil(day(54, 40, 1.9), NOON)).toBeNull();
    expect(batteryUntil(day(54, 4, 4), NOON)).toBeNull();
    expect(batteryUntil(day(54, 40, 4), NOON + 3 * HOUR)).toBeNull();
    expect(batteryUntil({ ...day(54, 40, 4), battery: null }, NOON)).toBeNull();
  });
});

describe("what needs attention", () => {
  const low = {
    ...report({ prosthesis: "18" }),
    battery: { last_percent: 20, drain_percent: 50, by_hour: [] },
  };

  it("is what is urgent, first", () => {
    const found = attentionOf([low, report({ errors: [3, 2] })], low.last_event_at);
    expect(found.map(({ kind, prosthesis, value }) => [kind, prosthesis, value])).toEqual([
      ["critical", "17", 2],
      ["battery", "18", 20],
    ]);
    expect(attentionOf([report()], report().last_event_at)).toEqual([]);
  });

  it("is silence only where what came before it is known to be complete", () => {
    const { last_event_at } = report();
    expect(attentionOf([report()], null)).toEqual([]);
    expect(attentionOf([report()], last_event_at + 4 * HOUR)).toEqual([]);
    expect(attentionOf([report()], last_event_at + 4 * HOUR + 1)[0]?.kind).toBe("silent");
  });

  const at = (critical: number, percent = 50, silentHours = 0, date = "2026-11-23") => {
    const json = todayJson([{ errors: [critical, critical] }], null);
    const decoded = decodeToday({ ...json, report_date: date });
    const items = decoded.items.map((one) => ({
      ...one,
      battery: { last_percent: percent, drain_percent: 1, by_hour: [] },
    }));
    return { ...decoded, items, as_of: report().last_event_at + silentHours * HOUR };
  };
  /** The kinds that are news, one today after the other. */
  const told = (...days: ReturnType<typeof at>[]) => {
    let known: Told | null = null;
    return days.map((day) => {
      const { told: next, news } = newsOf(known, day);
      known = next;
      return news.map(({ kind }) => kind);
    });
  };

  it("is news once, and again when there is more of it", () => {
    expect(told(at(0), at(1), at(1), at(3), at(2), at(3))).toEqual([
      [],
      ["critical"],
      [],
      ["critical"],
      [],
      [],
    ]);
  });

  it("is no news where it was there when the page was opened", () => {
    expect(told(at(2, 10, 5), at(2, 9, 6))).toEqual([[], []]);
  });

  it("counts critical errors anew each day, and a battery that is still low not", () => {
    expect(told(at(2, 15), at(1, 15, 0, "2026-11-24"))).toEqual([[], ["critical"]]);
  });

  it("is a low battery again only after it was charged", () => {
    const levels = [50, 20, 22, 20, 31, 20].map((percent) => at(0, percent));
    expect(told(...levels)).toEqual([[], ["battery"], [], [], [], ["battery"]]);
  });

  it("is silence again only after data came", () => {
    expect(told(at(0, 50), at(0, 50, 5), at(0, 50, 6), at(0, 50, 0), at(0, 50, 5))).toEqual([
      [],
      ["silent"],
      [],
      [],
      ["silent"],
    ]);
  });
});

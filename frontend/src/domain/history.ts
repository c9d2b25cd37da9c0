import type { DailyReport } from "../api/contract";
import type { Period } from "../router/routes";
import { addDays, lastDays } from "./days";

/** So many days before today say what is usual. */
export const USUAL_DAYS = 7;

/** All chosen prostheses of one local day together; null where that day has no report. */
export interface HistoryRow {
  date: string;
  totals: DayTotals | null;
}

export interface DayTotals {
  usageMs: number;
  signals: number;
  recognised: number;
  errors: number;
  criticalErrors: number;
  /** Battery drain in percent of each prosthesis with a reading: each has its own battery, so they are not summed. */
  drains: Drain[];
}

export interface Drain {
  /** Serial number, else id. */
  prosthesis: string;
  percent: number;
}

export function totalsOf(reports: readonly DailyReport[]): DayTotals | null {
  if (reports.length === 0) return null;
  const sum = (part: (report: DailyReport) => number) =>
    reports.reduce((total, report) => total + part(report), 0);
  return {
    usageMs: sum((report) => report.usage.total_ms),
    signals: sum((report) => report.signals.count),
    recognised: sum((report) => report.signals.recognised_count),
    errors: sum((report) => report.errors.count),
    criticalErrors: sum((report) => report.errors.critical_count),
    drains: reports.flatMap(({ battery, prosthesis_serial_number, prosthesis_id }) =>
      battery === null
        ? []
        : [{ prosthesis: prosthesis_serial_number || prosthesis_id, percent: battery.drain_percent }],
    ),
  };
}

/** Recognised of all signals, 0…1; null without signals. */
export function efficiencyOf(totals: Pick<DayTotals, "signals" | "recognised">): number | null {
  return totals.signals === 0 ? null : totals.recognised / totals.signals;
}

/** Both ends included. */
export interface Range {
  from: string;
  to: string;
}

export function rangeOfPeriod(period: Period, today: string): Range {
  return "days" in period ? { from: addDays(today, 1 - period.days), to: today } : period;
}

export function daysIn({ from, to }: Range): number {
  return Math.round((Date.parse(to) - Date.parse(from)) / 86_400_000) + 1;
}

/** As many days, just before. */
export function rangeBefore(range: Range): Range {
  return { from: addDays(range.from, -daysIn(range)), to: addDays(range.from, -1) };
}

/** One row a day, newest first; today's reports may be given live, instead of those that were stored. */
export function historyRows(
  stored: readonly DailyReport[],
  live: { date: string; items: readonly DailyReport[] },
  range: Range,
): HistoryRow[] {
  return lastDays(range.to, daysIn(range)).map((date) => {
    const source = date === live.date ? live.items : stored;
    return { date, totals: totalsOf(source.filter((report) => report.report_date === date)) };
  });
}

/** The prostheses that reports are of, each once, by the newest of its reports. */
export function prosthesesOf(reports: readonly DailyReport[]): DailyReport[] {
  const newest = new Map<string, DailyReport>();
  for (const report of reports) {
    const known = newest.get(report.prosthesis_id);
    if (known === undefined || known.report_date < report.report_date)
      newest.set(report.prosthesis_id, report);
  }
  return [...newest.values()].sort((one, other) => (one.prosthesis_id < other.prosthesis_id ? -1 : 1));
}

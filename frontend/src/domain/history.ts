import type { DailyReport } from "../api/contract";
import { lastDays } from "./days";

export const HISTORY_DAYS = 7;

/** All prostheses of one local day together; null where that day has no report. */
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

/** One row a day, newest first; today's come from the live numbers, the others from the stored ones. */
export function historyRows(
  stored: readonly DailyReport[],
  today: readonly DailyReport[],
  todayDate: string,
): HistoryRow[] {
  return lastDays(todayDate, HISTORY_DAYS).map((date) => {
    const source = date === todayDate ? today : stored;
    return { date, totals: totalsOf(source.filter((report) => report.report_date === date)) };
  });
}

import type { DailyReport } from "../api/contract";

/** So many days after a day are asked whether it changed after them. */
export const LATER_DAYS = 7;

/**
 * A time after which one of `reports`, of one day, was still changed: late data, or a correction. Null where that
 * cannot be told. Versions of one prosthesis grow with every change: a report with a higher one than a later day's
 * was changed after that day's last event (docs/metrics.md).
 */
export function changedAfter(reports: readonly DailyReport[], others: readonly DailyReport[]): number | null {
  const times = reports.flatMap((report) =>
    others
      .filter(
        (later) =>
          later.prosthesis_id === report.prosthesis_id &&
          later.report_date > report.report_date &&
          later.version < report.version,
      )
      .map((later) => later.last_event_at),
  );
  return times.length === 0 ? null : Math.max(...times);
}

import type { DailyReport, Usage } from "../api/contract";

/**
 * Today against the mean of earlier days of the same prosthesis. Usage is compared with what earlier days had by
 * the same time of day, since half a day always loses against whole ones.
 */
export interface Comparison {
  /** How many earlier days the means stand on. */
  days: number;
  usualUsageMs: number;
  usageDifferenceMs: number;
  /** Differences of shares, −1…1; null where one side had no signals. */
  efficiencyDifference: number | null;
}

export const HOUR_MS = 3_600_000;

/**
 * Use in the first `elapsedMs` of a day: whole hours as they are, the begun one in proportion. Activity belongs to
 * the hour of its beginning, so this is an estimate within one hour.
 */
export function usageWithin(usage: Usage, elapsedMs: number): number {
  const hours = Math.max(0, elapsedMs) / HOUR_MS;
  return usage.by_hour.reduce((total, slot, index) => {
    const share = Math.min(1, Math.max(0, hours - index));
    return total + slot.ms * share;
  }, 0);
}

/** Null where no earlier day is known. `now` is the instant the numbers stand at (ms since 1970). */
export function compare(today: DailyReport, earlier: readonly DailyReport[], now: number): Comparison | null {
  const days = earlier.filter(
    (report) => report.prosthesis_id === today.prosthesis_id && report.report_date < today.report_date,
  );
  if (days.length === 0) return null;
  const elapsed = now - today.day_starts_at;
  const usual = days.reduce((total, day) => total + usageWithin(day.usage, elapsed), 0) / days.length;
  const usualUsageMs = Math.round(usual);
  return {
    days: days.length,
    usualUsageMs,
    usageDifferenceMs: today.usage.total_ms - usualUsageMs,
    efficiencyDifference: efficiencyDifference(today, days),
  };
}

function efficiencyDifference(today: DailyReport, days: readonly DailyReport[]): number | null {
  const signals = days.reduce((total, day) => total + day.signals.count, 0);
  const recognised = days.reduce((total, day) => total + day.signals.recognised_count, 0);
  if (signals === 0 || today.signals.count === 0) return null;
  return today.signals.recognised_count / today.signals.count - recognised / signals;
}

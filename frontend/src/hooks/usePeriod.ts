import { useView } from "../app/view";
import { getReports } from "../api/client";
import type { DailyReport } from "../api/contract";
import { type Range, rangeBefore } from "../domain/history";
import { type Loaded, useLoaded } from "./useLoaded";

/** All reports of `range` (null: not known yet), and with `before` those of as many days before it too. */
export function usePeriod(range: Range | null, before: boolean): Loaded<DailyReport[]> {
  const { subject, control } = useView();
  const asked = range === null ? null : { from: before ? rangeBefore(range).from : range.from, to: range.to };
  return useLoaded(
    asked === null ? null : `${asked.from}..${asked.to}`,
    (background, signal) =>
      asked === null ? Promise.resolve([]) : getReports(subject, asked, background, signal),
    control.markEnded,
  );
}

/** What a wearer should not have to look for: critical errors, a low battery, a device that has fallen silent. */

import type { DailyReport, Today } from "../api/contract";
import { HOUR_MS } from "./comparison";

export const LOW_PERCENT = 20;
/** A device that sent something today and then nothing for so long is worth a look. */
export const SILENT_AFTER_MS = 4 * HOUR_MS;

export interface Attention {
  kind: "critical" | "battery" | "silent";
  prosthesis: string;
  name: string;
  /** Critical errors, percent of the battery, or the instant of the last event. */
  value: number;
}

/** Model, else serial number, else id: what a wearer knows the prosthesis by. */
export function nameOf(report: DailyReport): string {
  return report.prosthesis_model || report.prosthesis_serial_number || report.prosthesis_id;
}

/** By kind, what is most urgent first. `asOf`: everything up to then is in the reports, so silence before it is real. */
export function attentionOf(reports: readonly DailyReport[], asOf: number | null): Attention[] {
  const found = reports.flatMap((report) => {
    const one = (kind: Attention["kind"], value: number): Attention => ({
      kind,
      prosthesis: report.prosthesis_id,
      name: nameOf(report),
      value,
    });
    const { errors, battery, last_event_at } = report;
    return [
      ...(errors.critical_count > 0 ? [one("critical", errors.critical_count)] : []),
      ...(battery !== null && battery.last_percent <= LOW_PERCENT
        ? [one("battery", battery.last_percent)]
        : []),
      ...(asOf !== null && asOf - last_event_at > SILENT_AFTER_MS ? [one("silent", last_event_at)] : []),
    ];
  });
  const order = ["critical", "battery", "silent"];
  return found.sort((one, other) => order.indexOf(one.kind) - order.indexOf(other.kind));
}

/** A battery that was told of as low is told of again once it was above this in between. */
const CHARGED_PERCENT = LOW_PERCENT + 10;

/** What has been told of one day, by kind and prosthesis, so that it is told once. */
export interface Told {
  date: string;
  values: ReadonlyMap<string, number>;
}

/**
 * What of `today` has not been told yet, and what has been after it. What was there when the page was opened
 * (`told` is null) is no news. A critical error counts anew each day, and each further one is news; a battery that
 * goes up and down around the limit is not.
 */
export function newsOf(told: Told | null, today: Today): { told: Told; news: Attention[] } {
  const found = attentionOf(today.items, today.as_of);
  const values = new Map(told === null ? [] : [...told.values].filter(([key]) => holds(key, told, today)));
  const news = found.filter((one) => {
    const before = values.get(keyOf(one));
    return before === undefined || (one.kind === "critical" && one.value > before);
  });
  for (const one of found) values.set(keyOf(one), Math.max(one.value, values.get(keyOf(one)) ?? 0));
  return { told: { date: today.report_date, values }, news: told === null ? [] : news };
}

function keyOf({ kind, prosthesis }: Pick<Attention, "kind" | "prosthesis">): string {
  return `${kind} ${prosthesis}`;
}

/** Whether what was told under `key` still counts as told. */
function holds(key: string, told: Told, today: Today): boolean {
  const sameDay = told.date === today.report_date;
  const report = today.items.find(({ prosthesis_id }) => key.endsWith(` ${prosthesis_id}`));
  if (key.startsWith("critical ")) return sameDay;
  if (report === undefined) return true;
  if (key.startsWith("battery "))
    return report.battery === null || report.battery.last_percent < CHARGED_PERCENT;
  return today.as_of !== null && today.as_of - report.last_event_at > SILENT_AFTER_MS;
}

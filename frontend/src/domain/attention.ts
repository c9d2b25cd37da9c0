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

/** What is in `after` and was not, or was less, in `before` of the same day: that is news. */
export function newsOf(before: Today, after: Today): Attention[] {
  const known = before.report_date === after.report_date ? attentionOf(before.items, before.as_of) : [];
  return attentionOf(after.items, after.as_of).filter((now) => {
    const then = known.find(({ kind, prosthesis }) => kind === now.kind && prosthesis === now.prosthesis);
    return then === undefined || (now.kind === "critical" && now.value > then.value);
  });
}

import type { ReactNode } from "react";
import type { DailyReport } from "../api/contract";
import type { Comparison } from "../domain/comparison";
import { formatInteger, formatTime } from "../domain/format";
import { useLanguage } from "../i18n/LanguageContext";
import { ErrorList } from "./ErrorList";
import { HourChart } from "./HourChart";
import { BatteryMetric, EfficiencyMetric, ErrorsMetric, UsageMetric } from "./Metrics";

interface CardProps {
  report: DailyReport;
  /** The instant the numbers stand at, ms since 1970. */
  now: number;
  comparison: Comparison | null;
  /** More about the same day. */
  children?: ReactNode;
}

/** One prosthesis on one day. */
export function ProsthesisCard({ report, now, comparison, children }: CardProps) {
  const { t, locale } = useLanguage();
  const title = report.prosthesis_model || t("today.prosthesis", { id: report.prosthesis_id });
  const id = `prosthesis-${report.prosthesis_id}`;
  return (
    <article
      className="card"
      aria-labelledby={id}
      data-testid="prosthesis-card"
      data-prosthesis-id={report.prosthesis_id}
    >
      <header className="card-head">
        <h2 id={id}>{title}</h2>
        {report.prosthesis_serial_number !== "" && (
          <p>{t("today.serial", { serial: report.prosthesis_serial_number })}</p>
        )}
      </header>
      <dl className="metrics">
        <UsageMetric report={report} comparison={comparison} />
        <EfficiencyMetric report={report} comparison={comparison} />
        <BatteryMetric report={report} />
        <ErrorsMetric report={report} />
      </dl>
      <ErrorList errors={report.errors} />
      <HourChart hours={report.usage.by_hour} now={now} timeZone={report.timezone} />
      {children}
      <footer className="card-foot">
        <p>
          {t("today.events")}:{" "}
          <b data-testid="today-events" data-value={report.event_count}>
            {formatInteger(report.event_count, locale)}
          </b>
          {`, ${t("today.lastEvent", { time: formatTime(report.last_event_at, report.timezone, locale) })}`}
        </p>
        {comparison !== null && <p>{t("compare.note", { days: comparison.days })}</p>}
      </footer>
    </article>
  );
}

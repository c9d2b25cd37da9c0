import type { DailyReport } from "../api/contract";
import type { Comparison } from "../domain/comparison";
import { formatInteger, formatTime } from "../domain/format";
import { useLanguage } from "../i18n/LanguageContext";
import { BatteryChart } from "./BatteryChart";
import { ErrorList } from "./ErrorList";
import { HourChart } from "./HourChart";
import { BatteryMetric, EfficiencyMetric, ErrorsMetric, UsageMetric } from "./Metrics";

interface CardProps {
  report: DailyReport;
  /** The instant the numbers stand at, ms since 1970. */
  now: number;
  comparison: Comparison | null;
  /** Of the heading, where the day itself has one. */
  level?: 2 | 3;
}

/** One prosthesis on one day. */
export function ProsthesisCard({ report, now, comparison, level = 2 }: CardProps) {
  const { t, locale } = useLanguage();
  const Heading = level === 2 ? "h2" : "h3";
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
        <Heading id={id}>{title}</Heading>
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
      {report.battery !== null && report.battery.by_hour.length > 0 && (
        <BatteryChart
          hours={report.usage.by_hour}
          battery={report.battery.by_hour}
          now={now}
          timeZone={report.timezone}
        />
      )}
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

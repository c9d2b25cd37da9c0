import type { DailyReport } from "../api/contract";
import { nameOf } from "../domain/attention";
import { formatPercent } from "../domain/format";
import { useLanguage } from "../i18n/LanguageContext";
import { Link } from "../router/Link";
import type { Route } from "../router/routes";

interface ChipsProps {
  reports: readonly DailyReport[];
  chosen: string | null;
  /** Where a chip leads; null: all prostheses. */
  to: (prosthesis: string | null) => Route;
}

/** Several prostheses, to choose one from: each has its own numbers, and they are never added up. */
export function Chips({ reports, chosen, to }: ChipsProps) {
  const { t, locale } = useLanguage();
  if (reports.length < 2) return null;
  return (
    <nav className="chips" aria-label={t("today.prostheses")}>
      <Link to={to(null)} className="chip" current={chosen === null}>
        {t("today.all")}
      </Link>
      {reports.map((report) => (
        <Link
          key={report.prosthesis_id}
          to={to(report.prosthesis_id)}
          className="chip"
          current={chosen === report.prosthesis_id}
          testId="chip"
        >
          {nameOf(report)}
          {report.battery !== null && (
            <span className="chip-more"> {formatPercent(report.battery.last_percent, locale)}</span>
          )}
        </Link>
      ))}
    </nav>
  );
}

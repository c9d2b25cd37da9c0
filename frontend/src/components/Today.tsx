import type { DailyReport } from "../api/contract";
import { compare } from "../domain/comparison";
import { formatDate } from "../domain/format";
import { useLanguage } from "../i18n/LanguageContext";
import type { LiveState } from "../live/state";
import { CauseNotice, Freshness } from "./Freshness";
import { ProsthesisCard } from "./ProsthesisCard";

interface TodayProps {
  live: LiveState;
  earlier: readonly DailyReport[];
}

export function Today({ live, earlier }: TodayProps) {
  const { t, language } = useLanguage();
  const { snapshot } = live;
  return (
    <section id="today" className="section" aria-labelledby="today-title" tabIndex={-1}>
      <div className="section-head">
        <div>
          <h1 id="today-title">{t("today.title")}</h1>
          {snapshot !== null && (
            <p className="section-sub" data-testid="today-date" data-value={snapshot.today.report_date}>
              {formatDate(snapshot.today.report_date, language)}
              <span className="zone">{t("today.timezone", { zone: snapshot.today.timezone })}</span>
            </p>
          )}
        </div>
        <Freshness live={live} />
      </div>
      <CauseNotice live={live} />
      {snapshot === null && live.failure === null && <p className="empty">{t("app.loading")}</p>}
      {snapshot !== null && <Cards live={live} earlier={earlier} />}
    </section>
  );
}

function Cards({ live, earlier }: TodayProps) {
  const { t } = useLanguage();
  if (live.snapshot === null) return null;
  const { items, as_of } = live.snapshot.today;
  if (items.length === 0) {
    return (
      <div className="empty" data-testid="today-empty">
        <h2>{t("today.empty")}</h2>
        <p>{t("today.emptyText")}</p>
      </div>
    );
  }
  return (
    <div className="cards">
      {items.map((report) => {
        const now = as_of ?? report.last_event_at;
        const comparison = compare(report, earlier, now);
        return (
          <ProsthesisCard key={report.prosthesis_id} report={report} now={now} comparison={comparison} />
        );
      })}
    </div>
  );
}

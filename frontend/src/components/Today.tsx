import type { DailyReport } from "../api/contract";
import type { Failure } from "../api/failures";
import { compare } from "../domain/comparison";
import { formatDate } from "../domain/format";
import { useLanguage } from "../i18n/LanguageContext";
import type { MessageKey } from "../i18n/en";
import type { LiveState } from "../live/state";
import { Freshness, StaleNotice } from "./Freshness";
import { Notice } from "./Notice";
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
      <StaleNotice live={live} />
      {live.failure !== null && <FailureNotice failure={live.failure} />}
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

const FAILURE_TEXT: Record<Failure["kind"], MessageKey> = {
  "session-ended": "session.ended",
  unavailable: "live.downText",
  refused: "live.refusedText",
  unreadable: "live.unreadableText",
};

function FailureNotice({ failure }: { failure: Failure }) {
  const { t } = useLanguage();
  const status = failure.kind === "refused" ? failure.status : "";
  if (status === 404) return <p className="empty">{t("live.noneText")}</p>;
  return <Notice tone="danger">{t(FAILURE_TEXT[failure.kind], { status })}</Notice>;
}

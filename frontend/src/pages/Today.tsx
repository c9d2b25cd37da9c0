import { useView } from "../app/view";
import { Chips } from "../components/Chips";
import { NeedsAttention } from "../components/NeedsAttention";
import { PageTitle } from "../components/PageTitle";
import { ProsthesisCard } from "../components/ProsthesisCard";
import { Empty, WithoutToday } from "../components/states";
import type { DailyReport, Today as TodayNumbers } from "../api/contract";
import { compare } from "../domain/comparison";
import { formatDate, formatTime } from "../domain/format";
import { paceOf, batteryUntil } from "../domain/outlook";
import { useLanguage } from "../i18n/LanguageContext";
import { durationText } from "../i18n/translate";

export function Today({ prosthesis }: { prosthesis: string | null }) {
  const { t, locale } = useLanguage();
  const { today } = useView();
  return (
    <section className="section" data-testid="today">
      <div>
        <PageTitle title={t("today.title")} />
        {today !== null && (
          <p className="section-sub" data-testid="today-date" data-value={today.report_date}>
            {formatDate(today.report_date, locale)}
            <span className="zone">{t("today.timezone", { zone: today.timezone })}</span>
          </p>
        )}
      </div>
      {today === null ? <WithoutToday /> : <Numbers today={today} prosthesis={prosthesis} />}
    </section>
  );
}

function Numbers({ today, prosthesis }: { today: TodayNumbers; prosthesis: string | null }) {
  const { earlier } = useView();
  if (today.items.length === 0) return <NothingYet last={today.last_known} />;
  const chosen = today.items.filter((report) => prosthesis === null || report.prosthesis_id === prosthesis);
  const shown = chosen.length === 0 ? today.items : chosen;
  return (
    <>
      <NeedsAttention reports={today.items} asOf={today.as_of} />
      <Chips reports={today.items} chosen={prosthesis} to={(next) => ({ page: "today", prosthesis: next })} />
      <div className="cards">
        {shown.map((report) => (
          <OneProsthesis
            key={report.prosthesis_id}
            report={report}
            now={today.as_of ?? report.last_event_at}
            earlier={earlier.value ?? []}
          />
        ))}
      </div>
    </>
  );
}

interface OneProps {
  report: DailyReport;
  now: number;
  earlier: readonly DailyReport[];
}

function OneProsthesis({ report, now, earlier }: OneProps) {
  const comparison = compare(report, earlier, now);
  return (
    <div className="prosthesis">
      <Sentence report={report} now={now} earlier={earlier} />
      <ProsthesisCard report={report} now={now} comparison={comparison} />
    </div>
  );
}

/** The day in one sentence: how it compares, and how long the battery lasts. */
function Sentence({ report, now, earlier }: OneProps) {
  const { t, locale } = useLanguage();
  const comparison = compare(report, earlier, now);
  const until = batteryUntil(report, now);
  const day =
    comparison === null
      ? t("outlook.plain", { amount: durationText(report.usage.total_ms, t) })
      : t(`outlook.${paceOf(comparison)}`);
  return (
    <p className="sentence" data-testid="sentence">
      {day}
      {until === "all-day" && ` ${t("outlook.allDay")}`}
      {typeof until === "number" &&
        ` ${t("outlook.until", { time: formatTime(until, report.timezone, locale) })}`}
    </p>
  );
}

/** Before the day's first event, the last that is known is better than nothing. */
function NothingYet({ last }: { last: readonly DailyReport[] }) {
  const { t, locale } = useLanguage();
  const day = last[0]?.report_date;
  return (
    <>
      <Empty title={t("today.empty")} text={t("today.emptyText")} testId="today-empty" />
      {day !== undefined && (
        <>
          <h2 data-testid="last-known">{t("today.lastKnown", { day: formatDate(day, locale) })}</h2>
          <div className="cards">
            {last.map((report) => (
              <ProsthesisCard
                key={report.prosthesis_id}
                report={report}
                now={report.day_ends_at}
                comparison={null}
                level={3}
              />
            ))}
          </div>
        </>
      )}
    </>
  );
}

import { useView } from "../app/view";
import { getTypicalDay } from "../api/client";
import type { DailyReport, Today } from "../api/contract";
import { Chips } from "../components/Chips";
import { DayChart } from "../components/DayChart";
import { DayTable } from "../components/DayTable";
import { Figures } from "../components/Figures";
import { PageTitle } from "../components/PageTitle";
import { PeriodChoice } from "../components/PeriodChoice";
import { TypicalChart } from "../components/TypicalChart";
import { Empty, Part, WithoutToday } from "../components/states";
import { type Range, historyRows, prosthesesOf, rangeBefore, rangeOfPeriod } from "../domain/history";
import { useLoaded } from "../hooks/useLoaded";
import { usePeriod } from "../hooks/usePeriod";
import { useLanguage } from "../i18n/LanguageContext";
import { go } from "../router/navigation";
import type { Period } from "../router/routes";

interface HistoryProps {
  period: Period;
  prosthesis: string | null;
}

export default function History({ period, prosthesis }: HistoryProps) {
  const { t } = useLanguage();
  const { today } = useView();
  return (
    <section className="section" data-testid="history">
      <PageTitle title={t("history.title")} />
      {today === null ? <WithoutToday /> : <Days today={today} period={period} prosthesis={prosthesis} />}
    </section>
  );
}

function Days({ today, period, prosthesis }: HistoryProps & { today: Today }) {
  const { subject } = useView();
  const range = rangeOfPeriod(period, today.report_date);
  const loaded = usePeriod(range, true);
  return (
    <>
      <PeriodChoice
        period={period}
        range={range}
        lastDay={today.report_date}
        onChoose={(chosen) => {
          go({ subject, route: { page: "history", period: chosen, prosthesis } });
        }}
      />
      <Part loaded={loaded} lines={6}>
        {(reports) => (
          <Shown reports={reports} today={today} range={range} period={period} prosthesis={prosthesis} />
        )}
      </Part>
    </>
  );
}

interface ShownProps extends HistoryProps {
  reports: readonly DailyReport[];
  today: Today;
  range: Range;
}

function Shown({ reports, today, range, period, prosthesis }: ShownProps) {
  const { t } = useLanguage();
  const all = prosthesesOf([...reports, ...today.items]);
  const known = all.some((report) => report.prosthesis_id === prosthesis) ? prosthesis : null;
  const chosen = (report: DailyReport) => known === null || report.prosthesis_id === known;
  const live = { date: today.report_date, items: today.items.filter(chosen) };
  const rows = historyRows(reports.filter(chosen), live, range);
  const before = historyRows(reports.filter(chosen), live, rangeBefore(range));
  const date = today.report_date;
  return (
    <>
      <Chips reports={all} chosen={known} to={(next) => ({ page: "history", period, prosthesis: next })} />
      {rows.every(({ totals }) => totals === null) ? (
        <Empty title={t("history.empty")} text={t("history.emptyText")} testId="history-empty" />
      ) : (
        <>
          <div className="card">
            <Figures range={range} prosthesis={known} />
            <DayChart days={rows.toReversed()} before={before.toReversed()} today={date} />
          </div>
          <Typical range={range} prosthesis={known} />
          <h2>{t("history.table")}</h2>
          <DayTable rows={rows} today={date} prosthesis={known} />
        </>
      )}
    </>
  );
}

/** The usual day of the period; nothing where it has no whole day. */
function Typical({ range, prosthesis }: { range: Range; prosthesis: string | null }) {
  const { subject, control } = useView();
  const asked = prosthesis === null ? range : { ...range, prosthesis_id: prosthesis };
  const loaded = useLoaded(
    JSON.stringify(asked),
    (_, signal) => getTypicalDay(subject, asked, signal),
    control.markEnded,
  );
  return (
    <Part loaded={loaded} lines={2}>
      {(typical) =>
        typical.days > 0 && (
          <div className="card">
            <TypicalChart typical={typical} />
          </div>
        )
      }
    </Part>
  );
}

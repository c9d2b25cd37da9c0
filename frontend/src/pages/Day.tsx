import { useView } from "../app/view";
import type { DailyReport, Today } from "../api/contract";
import { Chips } from "../components/Chips";
import { ErrorTimes } from "../components/ErrorTimes";
import { PageTitle } from "../components/PageTitle";
import { ProsthesisCard } from "../components/ProsthesisCard";
import { Empty, Part, WithoutToday } from "../components/states";
import { addDays } from "../domain/days";
import { formatDate, formatMomentDate } from "../domain/format";
import { prosthesesOf } from "../domain/history";
import { LATER_DAYS, changedAfter } from "../domain/late";
import { usePeriod } from "../hooks/usePeriod";
import { useLanguage } from "../i18n/LanguageContext";
import { Link } from "../router/Link";

interface DayProps {
  day: string;
  prosthesis: string | null;
}

export default function Day({ day, prosthesis }: DayProps) {
  const { locale } = useLanguage();
  const { today } = useView();
  return (
    <section className="section" data-testid="day">
      <PageTitle title={formatDate(day, locale)} />
      {today === null ? (
        <WithoutToday />
      ) : (
        <>
          <Neighbours day={day} prosthesis={prosthesis} last={today.report_date} />
          <OneDay day={day} prosthesis={prosthesis} today={today} />
        </>
      )}
    </section>
  );
}

function Neighbours({ day, prosthesis, last }: DayProps & { last: string }) {
  const { t } = useLanguage();
  return (
    <nav className="neighbours" aria-label={t("history.date")}>
      <Link to={{ page: "day", day: addDays(day, -1), prosthesis }} testId="day-before">
        ← {t("day.previous")}
      </Link>
      {day < last && (
        <Link to={{ page: "day", day: addDays(day, 1), prosthesis }} testId="day-after">
          {t("day.next")} →
        </Link>
      )}
    </nav>
  );
}

function OneDay({ day, prosthesis, today }: DayProps & { today: Today }) {
  const last = addDays(day, LATER_DAYS);
  const loaded = usePeriod({ from: day, to: last < today.report_date ? last : today.report_date }, false);
  return (
    <Part loaded={loaded} lines={6}>
      {(stored) => {
        // The begun day moves on while it is looked at.
        const reports =
          day === today.report_date ? today.items : stored.filter(({ report_date }) => report_date === day);
        return (
          <Reports reports={reports} later={stored} day={day} prosthesis={prosthesis} asOf={today.as_of} />
        );
      }}
    </Part>
  );
}

interface ReportsProps extends DayProps {
  reports: readonly DailyReport[];
  later: readonly DailyReport[];
  asOf: number | null;
}

function Reports({ reports, later, day, prosthesis, asOf }: ReportsProps) {
  const { t } = useLanguage();
  if (reports.length === 0)
    return <Empty title={t("day.empty")} text={t("day.emptyText")} testId="day-empty" />;
  const chosen = reports.filter((report) => report.prosthesis_id === prosthesis);
  const shown = chosen.length === 0 ? reports : chosen;
  return (
    <>
      <Chips
        reports={prosthesesOf(reports)}
        chosen={chosen.length === 0 ? null : prosthesis}
        to={(next) => ({ page: "day", day, prosthesis: next })}
      />
      {reports.some(({ complete }) => !complete) && <p className="hint">{t("day.incomplete")}</p>}
      <Late reports={shown} later={later} />
      <div className="cards">
        {shown.map((report) => (
          <ProsthesisCard
            key={report.prosthesis_id}
            report={report}
            now={Math.min(report.day_ends_at, asOf ?? report.day_ends_at)}
            comparison={null}
          />
        ))}
      </div>
      <Errors reports={shown} day={day} prosthesis={chosen.length === 0 ? null : prosthesis} />
    </>
  );
}

function Late({ reports, later }: Pick<ReportsProps, "reports" | "later">) {
  const { t, locale } = useLanguage();
  const after = changedAfter(reports, later);
  const zone = reports[0]?.timezone;
  if (after === null || zone === undefined) return null;
  return (
    <p className="hint" data-testid="day-late">
      {t("day.late", { day: formatMomentDate(after, zone, locale) })}
    </p>
  );
}

function Errors({ reports, day, prosthesis }: Pick<ReportsProps, "reports" | "day" | "prosthesis">) {
  const count = reports.reduce((sum, { errors }) => sum + errors.count, 0);
  const zone = reports[0]?.timezone;
  if (count === 0 || zone === undefined) return null;
  return <ErrorTimes day={day} zone={zone} version={count} prosthesis={prosthesis} />;
}

import { useView } from "../app/view";
import { Help } from "../components/Contact";
import { PageTitle } from "../components/PageTitle";
import { Part, WithoutToday } from "../components/states";
import { addDays } from "../domain/days";
import { formatInteger, formatShortDate } from "../domain/format";
import { useErrorText } from "../hooks/useErrorText";
import { usePeriod } from "../hooks/usePeriod";
import { useLanguage } from "../i18n/LanguageContext";
import { Link } from "../router/Link";

const DAYS = 30;

/** One error code: what it means, what to do, and how often it came. */
export default function ErrorCode({ code }: { code: string }) {
  const { t } = useLanguage();
  const { today } = useView();
  const date = today?.report_date ?? null;
  const loaded = usePeriod(date === null ? null : { from: addDays(date, 1 - DAYS), to: date }, false);
  return (
    <section className="section" data-testid="error-code">
      <PageTitle title={t("error.title", { code })} />
      <Meaning code={code} />
      <h2>{t("error.often")}</h2>
      {today === null ? (
        <WithoutToday />
      ) : (
        <Part loaded={loaded} lines={2}>
          {(reports) => (
            <Often
              days={reports.flatMap(({ report_date, errors }) => {
                const count = Object.hasOwn(errors.by_code, code) ? (errors.by_code[code] ?? 0) : 0;
                return count === 0 ? [] : [{ day: report_date, count }];
              })}
            />
          )}
        </Part>
      )}
    </section>
  );
}

function Meaning({ code }: { code: string }) {
  const { t } = useLanguage();
  const { errorTexts } = useView();
  const textOf = useErrorText();
  return (
    <Part loaded={errorTexts} lines={2}>
      {() => {
        const text = textOf(code);
        return (
          text !== null && (
            <div className="card prose" data-testid="meaning">
              <p className="lead">{text.title}</p>
              <h2>{t("error.meaning")}</h2>
              <p>{text.meaning}</p>
              <h2>{t("error.todo")}</h2>
              <p>{text.action}</p>
              <h2>{t("error.call")}</h2>
              <p>{text.call}</p>
              <Help />
            </div>
          )
        );
      }}
    </Part>
  );
}

function Often({ days }: { days: readonly { day: string; count: number }[] }) {
  const { t, locale } = useLanguage();
  const total = days.reduce((sum, { count }) => sum + count, 0);
  if (total === 0) return <p>{t("error.never", { days: DAYS })}</p>;
  return (
    <>
      <p data-testid="error-count" data-value={total}>
        {t("error.count", { count: formatInteger(total, locale), days: DAYS })}
      </p>
      <ul className="days-list">
        {days.map(({ day, count }) => (
          <li key={day}>
            <Link to={{ page: "day", day, prosthesis: null }}>{formatShortDate(day, locale)}</Link>{" "}
            {formatInteger(count, locale)}
          </li>
        ))}
      </ul>
    </>
  );
}

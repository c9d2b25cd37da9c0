import { useView } from "../app/view";
import { getErrorTimes } from "../api/client";
import type { ErrorTimes as Times } from "../api/contract";
import { formatInteger, formatTime } from "../domain/format";
import { useErrorText } from "../hooks/useErrorText";
import { useLoaded } from "../hooks/useLoaded";
import { useLanguage } from "../i18n/LanguageContext";
import { Link } from "../router/Link";
import { Part } from "./states";

interface TimesProps {
  day: string;
  zone: string;
  /** Changes when there is more to read. */
  version: number;
  prosthesis: string | null;
}

/** When each error of a day came. */
export function ErrorTimes({ day, zone, version, prosthesis }: TimesProps) {
  const { t } = useLanguage();
  const { subject, control } = useView();
  const loaded = useLoaded(
    `${day} ${version}`,
    (_, signal) => getErrorTimes(subject, day, signal),
    control.markEnded,
  );
  return (
    <section className="card" aria-labelledby="error-times">
      <h2 id="error-times">{t("day.errorTimes")}</h2>
      <Part loaded={loaded} lines={2}>
        {(times) => <List times={times} zone={zone} prosthesis={prosthesis} />}
      </Part>
    </section>
  );
}

function List({ times, zone, prosthesis }: { times: Times } & Pick<TimesProps, "zone" | "prosthesis">) {
  const { t, locale } = useLanguage();
  const textOf = useErrorText();
  const shown = times.occurrences.filter((one) => prosthesis === null || one.prosthesis_id === prosthesis);
  return (
    <>
      <ul className="plain-list">
        {shown.map((one, index) => (
          <li key={`${one.occurred_at}-${index}`} data-testid="error-time">
            {formatTime(one.occurred_at, zone, locale)}{" "}
            <Link to={{ page: "error", code: one.code }}>{textOf(one.code)?.title ?? one.code}</Link>{" "}
            <span className={one.severity === "critical" ? "critical-word" : "hint"}>
              {t(`severity.${one.severity}`)}
            </span>
          </li>
        ))}
      </ul>
      {times.count > times.occurrences.length && (
        <p className="hint">{t("day.moreErrors", { count: formatInteger(times.count, locale) })}</p>
      )}
    </>
  );
}

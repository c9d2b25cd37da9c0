import type { DailyReport } from "../api/contract";
import { formatInteger } from "../domain/format";
import { useErrorText } from "../hooks/useErrorText";
import { useLanguage } from "../i18n/LanguageContext";
import { Link } from "../router/Link";

/** A day's errors in words, most frequent first; each leads to what it means and what to do. */
export function ErrorList({ errors }: { errors: DailyReport["errors"] }) {
  const { t, locale } = useLanguage();
  const textOf = useErrorText();
  const codes = Object.entries(errors.by_code).sort(([, one], [, other]) => other - one);
  if (codes.length === 0) return null;
  return (
    <ul className="codes" aria-label={t("today.codes")}>
      {codes.map(([code, count]) => {
        const title = textOf(code)?.title ?? code;
        return (
          <li key={code}>
            <Link to={{ page: "error", code }}>{title}</Link>{" "}
            <span className="code">
              {/* An unknown code is its own title. */}
              {!title.includes(code) && `${t("today.code", { code })}, `}
              {t("today.times", { count: formatInteger(count, locale) })}
            </span>
          </li>
        );
      })}
    </ul>
  );
}

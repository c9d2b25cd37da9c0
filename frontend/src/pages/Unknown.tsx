import { PageTitle } from "../components/PageTitle";
import { useLanguage } from "../i18n/LanguageContext";
import { Link } from "../router/Link";

export function Unknown() {
  const { t } = useLanguage();
  return (
    <section className="section" data-testid="unknown">
      <PageTitle title={t("nav.unknown")} />
      <p>{t("nav.unknownText")}</p>
      <p>
        <Link to={{ page: "today", prosthesis: null }} className="button">
          {t("nav.toToday")}
        </Link>
      </p>
    </section>
  );
}

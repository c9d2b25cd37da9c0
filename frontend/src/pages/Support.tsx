import { PageTitle } from "../components/PageTitle";
import { useLanguage } from "../i18n/LanguageContext";

/** Somebody of the support desk has no prosthesis: a wearer's page without numbers would say something untrue. */
export default function Support() {
  const { t } = useLanguage();
  return (
    <section className="section" data-testid="support">
      <PageTitle title={t("support.title")} />
      <p>{t("support.text")}</p>
    </section>
  );
}

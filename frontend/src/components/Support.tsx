import { useLanguage } from "../i18n/LanguageContext";

/** Somebody of the support desk has no prosthesis: a wearer's page without numbers would say something untrue. */
export function Support() {
  const { t } = useLanguage();
  return (
    <main className="page">
      <section id="today" className="section" tabIndex={-1} data-testid="support">
        <h1>{t("support.title")}</h1>
        <p className="empty">{t("support.text")}</p>
      </section>
    </main>
  );
}

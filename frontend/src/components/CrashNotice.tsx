import { Component, type ReactNode } from "react";
import { useLanguage } from "../i18n/LanguageContext";

/** A defect while drawing leaves a sentence and a way on, not an empty page. */
export class CrashNotice extends Component<{ children: ReactNode }, { crashed: boolean }> {
  override state = { crashed: false };

  static getDerivedStateFromError() {
    return { crashed: true };
  }

  override render() {
    return this.state.crashed ? <Sentence /> : this.props.children;
  }
}

function Sentence() {
  const { t } = useLanguage();
  return (
    <main className="welcome" role="alert">
      <p>{t("app.crashed")}</p>
      <button
        type="button"
        className="button"
        onClick={() => {
          location.reload();
        }}
      >
        {t("app.reload")}
      </button>
    </main>
  );
}

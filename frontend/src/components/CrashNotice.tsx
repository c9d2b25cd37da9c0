import { Component, type ReactNode, useEffect, useRef } from "react";
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
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    heading.current?.focus();
  }, []);
  return (
    <main className="welcome">
      <h1 ref={heading} tabIndex={-1}>
        {t("app.name")}
      </h1>
      <p role="alert">{t("app.crashed")}</p>
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

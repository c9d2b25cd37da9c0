import { type ReactNode, useEffect, useRef } from "react";
import { useLanguage } from "../i18n/LanguageContext";
import { hasMoved } from "../router/navigation";

interface Props {
  /** Also the tab's title. */
  title: string;
  children?: ReactNode;
}

/** The page's one main heading: it names the tab, and takes the focus when the reader has come here from another page. */
export function PageTitle({ title, children }: Props) {
  const { t } = useLanguage();
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} – ${t("app.name")}`;
  }, [title, t]);
  useEffect(() => {
    if (hasMoved()) heading.current?.focus({ preventScroll: true });
  }, []);
  return (
    <h1 ref={heading} tabIndex={-1} data-testid="title">
      {title}
      {children}
    </h1>
  );
}

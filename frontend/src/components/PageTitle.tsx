import { type ReactNode, useEffect, useLayoutEffect, useRef } from "react";
import { type Locale, formatDate } from "../domain/format";
import { useLanguage } from "../i18n/LanguageContext";
import type { MessageKey } from "../i18n/en";
import type { Translate } from "../i18n/translate";
import { hasMoved } from "../router/navigation";
import type { Route } from "../router/routes";

export const TITLE_ID = "title";

const TITLES: Record<Exclude<Route["page"], "day" | "error">, MessageKey> = {
  today: "today.title",
  history: "history.title",
  export: "export.title",
  more: "more.title",
  support: "support.title",
  unknown: "nav.unknown",
};

/** What the page at `route` is called. */
export function titleOf(route: Route, t: Translate, locale: Locale): string {
  if (route.page === "day") return formatDate(route.day, locale);
  return route.page === "error" ? t("error.title", { code: route.code }) : t(TITLES[route.page]);
}

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
  // At once, so that the focus is never on nothing, not even where the heading of a page on its way gives way to this one.
  useLayoutEffect(() => {
    if (hasMoved()) heading.current?.focus({ preventScroll: true });
  }, []);
  return (
    <h1 id={TITLE_ID} ref={heading} tabIndex={-1} data-testid="title">
      {title}
      {children}
    </h1>
  );
}

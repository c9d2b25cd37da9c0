/** What a part of a page shows besides its content: that it comes, that there is none, that it could not be had. */

import { type ReactNode, useLayoutEffect, useRef } from "react";
import type { Failure } from "../api/failures";
import { useView } from "../app/view";
import { formatTime } from "../domain/format";
import { wake } from "../hooks/sleep";
import type { Loaded } from "../hooks/useLoaded";
import { useLanguage } from "../i18n/LanguageContext";
import { causeOf, isWithoutReports } from "../live/state";
import { focusOn } from "./focus";
import { Notice } from "./Notice";
import { TITLE_ID } from "./PageTitle";

/** Grey shapes of about the size of what comes, and a word for whoever does not see them. */
export function Skeleton({ lines = 3 }: { lines?: number }) {
  const { t } = useLanguage();
  return (
    <div className="skeleton" data-testid="skeleton">
      <p className="visually-hidden">{t("app.loading")}</p>
      {Array.from({ length: lines }, (_, index) => (
        <div key={index} className="skeleton-line" aria-hidden="true" />
      ))}
    </div>
  );
}

interface EmptyProps {
  title: string;
  text: string;
  testId?: string;
  children?: ReactNode;
}

export function Empty({ title, text, testId, children }: EmptyProps) {
  return (
    <div className="empty" data-testid={testId}>
      <h2>{title}</h2>
      <p>{text}</p>
      {children}
    </div>
  );
}

/** What a page that stands on today's numbers shows before there are any: that they come, or why they do not and what to do. */
export function WithoutToday() {
  const { t } = useLanguage();
  const { live } = useView();
  if (isWithoutReports(live)) {
    return <Empty title={t("live.none")} text={t("live.noneText")} testId="no-reports" />;
  }
  if (live.failure !== null) return <Failed failure={live.failure} onRetry={wake} />;
  if (causeOf(live)?.kind === "offline") {
    return <Empty title={t("state.failed")} text={t("state.offlineText")} testId="failed" />;
  }
  return <Skeleton lines={6} />;
}

export function Failed({ failure, onRetry }: { failure: Failure; onRetry: () => void }) {
  const { t } = useLanguage();
  const text =
    failure.kind === "refused" ? t("state.refusedText", { status: failure.status }) : t("state.failedText");
  return (
    <Empty title={t("state.failed")} text={text} testId="failed">
      <RetryButton onRetry={onRetry} />
    </Empty>
  );
}

function RetryButton({ onRetry }: { onRetry: () => void }) {
  const { t } = useLanguage();
  const button = useRef<HTMLButtonElement>(null);
  // It goes away when trying again has worked: the keyboard then goes on from the page's heading.
  useLayoutEffect(() => {
    const shown = button.current;
    return () => {
      if (shown !== null && document.activeElement === shown) focusOn(TITLE_ID);
    };
  }, []);
  return (
    <button ref={button} type="button" className="button quiet" data-testid="retry" onClick={onRetry}>
      {t("state.retry")}
    </button>
  );
}

interface PartProps<T> {
  loaded: Loaded<T>;
  lines?: number;
  children: (value: T) => ReactNode;
}

/** What was loaded, or why it is not there; an older value stays in sight with its age. */
export function Part<T>({ loaded, lines, children }: PartProps<T>) {
  const { value, failure, retry } = loaded;
  if (value === null) {
    return failure === null ? (
      <Skeleton {...(lines === undefined ? {} : { lines })} />
    ) : (
      <Failed failure={failure} onRetry={retry} />
    );
  }
  return (
    <>
      {failure !== null && <Stale loadedAt={loaded.loadedAt} onRetry={retry} />}
      {children(value)}
    </>
  );
}

function Stale({ loadedAt, onRetry }: { loadedAt: number | null; onRetry: () => void }) {
  const { t, locale } = useLanguage();
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const text = t("state.stale", { time: loadedAt === null ? "" : formatTime(loadedAt, zone, locale) });
  return (
    <Notice tone="warning" said={text}>
      <p>{text}</p>
      <RetryButton onRetry={onRetry} />
    </Notice>
  );
}

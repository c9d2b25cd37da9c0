import { formatHour } from "../domain/format";
import { useEarlierDays } from "../hooks/useEarlierDays";
import { useLive } from "../hooks/useLive";
import { useLanguage } from "../i18n/LanguageContext";
import { Export } from "./Export";
import { History } from "./History";
import { Notice } from "./Notice";
import { Today } from "./Today";

interface DashboardProps {
  /** Instant (ms since 1970) where the session is about to end, else null. */
  sessionEndsAt: number | null;
  logOutFailed: boolean;
  onEnded: () => void;
  onStay: () => void;
}

export default function Dashboard({ sessionEndsAt, logOutFailed, onEnded, onStay }: DashboardProps) {
  const { t, language } = useLanguage();
  const live = useLive(onEnded);
  const today = live.snapshot?.today ?? null;
  const earlier = useEarlierDays(today?.report_date ?? null, onEnded);
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  return (
    <main className="page">
      {logOutFailed && (
        <Notice tone="danger" said={t("session.logOutFailed")}>
          <p>{t("session.logOutFailed")}</p>
        </Notice>
      )}
      {sessionEndsAt !== null && (
        <Notice
          tone="warning"
          said={t("session.endsSoon", { time: formatHour(sessionEndsAt, zone, language) })}
        >
          {t("session.endsSoon", { time: formatHour(sessionEndsAt, zone, language) })}{" "}
          <button type="button" className="link" data-testid="stay" onClick={onStay}>
            {t("session.stay")}
          </button>
        </Notice>
      )}
      <Today live={live} earlier={earlier.reports ?? []} />
      {today !== null && (
        <>
          <History today={today} earlier={earlier} />
          <Export lastDay={today.report_date} onEnded={onEnded} />
        </>
      )}
    </main>
  );
}

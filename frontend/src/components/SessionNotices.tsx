import { loginUrl } from "../api/client";
import { formatTime } from "../domain/format";
import type { Ending } from "../domain/session";
import { useLanguage } from "../i18n/LanguageContext";
import { focusOn } from "./focus";
import { Notice } from "./Notice";

interface Props {
  ending: Ending | null;
  logOutFailed: boolean;
  /** The wearer's own time zone, where it is known. */
  timeZone: string | null;
  onStay: () => void;
  onDismiss: () => void;
}

/** What has to be said about the session, in sight wherever the page is scrolled to. */
export function SessionNotices({ ending, logOutFailed, timeZone, onStay, onDismiss }: Props) {
  const { t } = useLanguage();
  if (ending === null && !logOutFailed) return null;
  return (
    <div className="session-notices">
      {logOutFailed && (
        <Notice tone="danger" said={t("session.logOutFailed")}>
          <p>{t("session.logOutFailed")}</p>
          <button
            type="button"
            className="button quiet"
            data-testid="dismiss"
            onClick={() => {
              onDismiss();
              focusOn("main");
            }}
          >
            {t("session.dismiss")}
          </button>
        </Notice>
      )}
      {ending !== null && <EndNotice ending={ending} timeZone={timeZone} onStay={onStay} />}
    </div>
  );
}

function EndNotice({ ending, timeZone, onStay }: Pick<Props, "timeZone" | "onStay"> & { ending: Ending }) {
  const { t, locale, language } = useLanguage();
  const zone = timeZone ?? Intl.DateTimeFormat().resolvedOptions().timeZone;
  const time = formatTime(ending.at, zone, locale);
  const text = t(ending.canStay ? "session.endsSoon" : "session.endsForGood", { time });
  return (
    <Notice tone="warning" said={text}>
      <p>{text}</p>
      {ending.canStay ? (
        <button
          type="button"
          className="button quiet"
          data-testid="stay"
          onClick={() => {
            onStay();
            focusOn("main");
          }}
        >
          {t("session.stay")}
        </button>
      ) : (
        <a
          className="button quiet"
          href={loginUrl(location.pathname + location.search, language)}
          data-testid="login-again"
        >
          {t("session.logInAgain")}
        </a>
      )}
    </Notice>
  );
}

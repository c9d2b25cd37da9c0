import { LOGIN_URL } from "../api/client";
import type { SessionState } from "../domain/session";
import { useLanguage } from "../i18n/LanguageContext";
import { Logo } from "./Logo";

interface Props {
  session: Exclude<SessionState, { status: "in" }>;
}

export function SignedOut({ session }: Props) {
  const { t } = useLanguage();
  return (
    <main className="welcome">
      <Logo />
      <h1>{t("app.name")}</h1>
      <p className="lead">{t("app.sentence")}</p>
      <p className="welcome-note" role="status">
        <Note session={session} />
      </p>
      {session.status === "out" && (
        <a className="button primary" href={LOGIN_URL} data-testid="login">
          {t("session.logIn")}
        </a>
      )}
    </main>
  );
}

function Note({ session }: Props) {
  const { t } = useLanguage();
  if (session.status === "loading") return t(session.unavailable ? "session.unavailable" : "app.loading");
  if (session.reason === "logged-out") return t("session.loggedOut");
  return session.reason === "ended" ? t("session.ended") : null;
}

import { useEffect, useRef } from "react";
import { loginUrl } from "../api/client";
import type { OutReason, SessionState } from "../domain/session";
import { useLanguage } from "../i18n/LanguageContext";
import type { MessageKey } from "../i18n/en";
import { useAnnounce } from "./Announcer";
import { Logo } from "./Logo";

interface Props {
  session: Exclude<SessionState, { status: "in" }>;
}

const REASONS: Record<OutReason, MessageKey | null> = {
  never: null,
  "logged-out": "session.loggedOut",
  "logged-out-here": "session.loggedOutHere",
  ended: "session.ended",
};

export function SignedOut({ session }: Props) {
  const { t, language } = useLanguage();
  const heading = useRef<HTMLHeadingElement>(null);
  const announce = useAnnounce();
  const note = noteOf(session);
  const text = note === null ? null : t(note);
  const left = session.status === "out" && session.reason !== "never";
  // What had the focus is gone with the numbers; the keyboard goes on from the heading.
  useEffect(() => {
    if (left) heading.current?.focus();
  }, [left]);
  useEffect(() => (text === null ? undefined : announce(text)), [announce, text]);
  useEffect(() => {
    document.title = t("app.name");
  }, [t]);
  return (
    <main className="welcome">
      <Logo />
      <h1 ref={heading} tabIndex={-1}>
        {t("app.name")}
      </h1>
      <p className="lead">{t("app.sentence")}</p>
      <p className="welcome-note">{text}</p>
      {session.status === "out" && (
        <a className="button primary" href={loginUrl(returnTo(session.reason), language)} data-testid="login">
          {t("session.logIn")}
        </a>
      )}
    </main>
  );
}

/** Whoever left on purpose begins anew; everybody else goes on where they are. */
function returnTo(reason: OutReason): string {
  const left = reason === "logged-out" || reason === "logged-out-here";
  return left ? "/" : location.pathname + location.search;
}

function noteOf(session: Props["session"]): MessageKey | null {
  if (session.status === "out") return REASONS[session.reason];
  return session.unavailable ? "session.unavailable" : "app.loading";
}

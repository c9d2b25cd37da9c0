import { Suspense, lazy } from "react";
import { Header } from "./components/Header";
import { SignedOut } from "./components/SignedOut";
import { Support } from "./components/Support";
import type { Member } from "./domain/session";
import { isSupportOnly } from "./domain/session";
import { useActivity } from "./hooks/useActivity";
import { type SessionControl, useSession } from "./hooks/useSession";
import { useLanguage } from "./i18n/LanguageContext";

// Whoever only sees the login page does not load the rest.
const Dashboard = lazy(() => import("./components/Dashboard"));

export function App() {
  const control = useSession();
  const { session } = control;
  if (session.status === "in") return <Inside member={session} control={control} />;
  return (
    <>
      <Header name={null} onLogOut={null} />
      <SignedOut session={session} />
    </>
  );
}

function Inside({ member, control }: { member: Member; control: SessionControl }) {
  const { t } = useLanguage();
  useActivity(control.stay);
  return (
    <>
      <a className="skip" href="#today">
        {t("app.skip")}
      </a>
      <Header name={member.name} onLogOut={control.logOut} />
      {isSupportOnly(member.roles) ? (
        <Support />
      ) : (
        <Suspense fallback={<p className="welcome">{t("app.loading")}</p>}>
          <Dashboard control={control} />
        </Suspense>
      )}
    </>
  );
}

import { Suspense, lazy } from "react";
import { Header } from "./components/Header";
import { SignedOut } from "./components/SignedOut";
import { useSession } from "./hooks/useSession";
import { useLanguage } from "./i18n/LanguageContext";

// Whoever only sees the login page does not load the rest.
const Dashboard = lazy(() => import("./components/Dashboard"));

export function App() {
  const control = useSession();
  const { session } = control;
  const { t } = useLanguage();
  if (session.status === "in") {
    return (
      <>
        <a className="skip" href="#today">
          {t("app.skip")}
        </a>
        <Header name={session.name} onLogOut={control.logOut} />
        <Suspense fallback={<p className="welcome">{t("app.loading")}</p>}>
          <Dashboard
            sessionEndsAt={control.endsSoon ? session.endsAt : null}
            logOutFailed={control.logOutFailed}
            onEnded={control.markEnded}
            onStay={control.stay}
          />
        </Suspense>
      </>
    );
  }
  return (
    <>
      <Header name={null} onLogOut={null} />
      <SignedOut session={session} />
    </>
  );
}

import { Suspense, lazy } from "react";
import { HeaderBar, LanguageSwitch } from "./components/Header";
import { SignedOut } from "./components/SignedOut";
import { useSession } from "./hooks/useSession";
import { useLanguage } from "./i18n/LanguageContext";

// Whoever only sees the login page does not load the rest.
const Inside = lazy(() => import("./app/Inside"));

export function App() {
  const control = useSession();
  const { session } = control;
  if (session.status === "in") {
    return (
      <Suspense fallback={<Loading />}>
        <Inside member={session} control={control} />
      </Suspense>
    );
  }
  return (
    <>
      <header>
        <HeaderBar>
          <LanguageSwitch />
        </HeaderBar>
      </header>
      <SignedOut session={session} />
    </>
  );
}

function Loading() {
  const { t } = useLanguage();
  return <p className="welcome">{t("app.loading")}</p>;
}

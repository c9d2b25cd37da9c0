import { Suspense, lazy } from "react";
import { HeaderBar, LanguageSwitch } from "./components/Header";
import { SignedOut } from "./components/SignedOut";
import { useSession } from "./hooks/useSession";
import { useLanguage } from "./i18n/LanguageContext";

// Comes while the session is asked for: on a slow network one after the other is felt. Nothing waits for it on the login page.
const inside = import("./app/Inside");
inside.catch(() => undefined);
const Inside = lazy(() => inside);

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

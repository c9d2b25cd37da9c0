import { Suspense, lazy } from "react";
import { HeaderBar, LanguageSwitch } from "./components/Header";
import { SignedOut } from "./components/SignedOut";
import { useSession } from "./hooks/useSession";
import { INITIAL_SESSION, type Member, type SessionState } from "./domain/session";

// Comes while the session is asked for: on a slow network one after the other is felt. Nothing waits for it on the login page.
const inside = import("./app/Inside");
inside.catch(() => undefined);
const Inside = lazy(() => inside);

export function App() {
  const control = useSession();
  const { session } = control;
  if (session.status === "in") {
    return (
      <Suspense fallback={<Outside session={INITIAL_SESSION} />}>
        <Inside member={session} control={control} />
      </Suspense>
    );
  }
  return <Outside session={session} />;
}

/** What is seen before, after and instead of the reports. */
function Outside({ session }: { session: Exclude<SessionState, Member> }) {
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

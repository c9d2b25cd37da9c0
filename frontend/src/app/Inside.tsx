import { type ReactNode, Suspense, lazy, useMemo, useState } from "react";
import { getErrorTexts, getReports } from "../api/client";
import { Account, HeaderBar, LanguageSwitch } from "../components/Header";
import { CauseNotice, Freshness } from "../components/Freshness";
import { PageTitle, titleOf } from "../components/PageTitle";
import { Navigation } from "../components/Navigation";
import { SessionNotices } from "../components/SessionNotices";
import { ViewingBar, VisitForm } from "../components/Visit";
import { Skeleton } from "../components/states";
import { addDays } from "../domain/days";
import { USUAL_DAYS } from "../domain/history";
import { type Member, helps, wears } from "../domain/session";
import { useActivity } from "../hooks/useActivity";
import { useLive } from "../hooks/useLive";
import { useLoaded } from "../hooks/useLoaded";
import { useNews } from "../hooks/useNews";
import type { SessionControl } from "../hooks/useSession";
import { useLanguage } from "../i18n/LanguageContext";
import { Today } from "../pages/Today";
import { Unknown } from "../pages/Unknown";
import { usePlace } from "../router/navigation";
import type { Place, Route } from "../router/routes";
import { type View, ViewContext } from "./view";

// Today comes with the shell; what else there is comes when it is looked at.
const History = lazy(() => import("../pages/History"));
const Day = lazy(() => import("../pages/Day"));
const ErrorCode = lazy(() => import("../pages/ErrorCode"));
const Export = lazy(() => import("../pages/Export"));
const More = lazy(() => import("../pages/More"));
const Support = lazy(() => import("../pages/Support"));

interface Props {
  member: Member;
  control: SessionControl;
}

/** Everything that somebody who is logged in sees. */
export default function Inside({ member, control }: Props) {
  const asked = usePlace();
  useActivity(control.stay);
  const place = permitted(asked, member);
  const needsReports = place.subject !== null || wears(member.roles);
  const shell = { place, member, control };
  return needsReports ? (
    <Visited key={place.subject ?? ""} {...shell} />
  ) : (
    <Shell {...shell} status={null} notices={null} timeZone={null}>
      {isHelpersOwn(place.route) ? (
        <Page route={place.route} member={member} control={control} />
      ) : (
        <Support onEnded={control.markEnded} />
      )}
    </Shell>
  );
}

/** What is not for this reader does not exist. */
function permitted(place: Place, { roles }: Member): Place {
  const forHelpers = place.subject !== null || place.route.page === "support";
  return forHelpers && !helps(roles) ? { subject: null, route: { page: "unknown" } } : place;
}

/** Begun anew once a reason was given: what was refused before is asked for again. */
function Visited(props: Props & { place: Place }) {
  const [visits, setVisits] = useState(0);
  const again = () => {
    setVisits((last) => last + 1);
  };
  return <WearersPages key={visits} {...props} onVisit={again} />;
}

/** The pages over one wearer's numbers, which go on moving whichever of them is looked at. */
function WearersPages({ place, member, control, onVisit }: Props & { place: Place; onVisit: () => void }) {
  const { language } = useLanguage();
  const { subject } = place;
  const live = useLive(subject, control.markEnded);
  const today = live.snapshot?.today ?? null;
  const date = today?.report_date ?? null;
  const range = date === null ? null : { from: addDays(date, -USUAL_DAYS), to: addDays(date, -1) };
  const earlier = useLoaded(
    range === null ? null : range.from,
    (background, signal) => getReports(subject, range ?? NO_DAYS, background, signal),
    control.markEnded,
    true,
  );
  const errorTexts = useLoaded(language, (_, signal) => getErrorTexts(language, signal), control.markEnded);
  useNews(today, subject === null);
  const view: View = useMemo(
    () => ({ subject, live, today, earlier, errorTexts, control }),
    [subject, live, today, earlier, errorTexts, control],
  );
  const asksReason = live.failure?.kind === "refused" && live.failure.problem === "reason-required";
  return (
    <ViewContext value={view}>
      <Shell
        place={place}
        member={member}
        control={control}
        status={<Freshness live={live} />}
        notices={
          <>
            {subject !== null && <ViewingBar subject={subject} name={nameIn(view) ?? subject} />}
            {!asksReason && <CauseNotice live={live} />}
          </>
        }
        timeZone={today?.timezone ?? null}
      >
        {subject !== null && asksReason ? (
          <VisitForm subject={subject} onBegun={onVisit} onEnded={control.markEnded} />
        ) : (
          <Page route={place.route} member={member} control={control} />
        )}
      </Shell>
    </ViewContext>
  );
}

/** The wearer's name, as their reports have it. */
function nameIn({ today }: View): string | undefined {
  return [...(today?.items ?? []), ...(today?.last_known ?? [])][0]?.customer_name;
}

// What is asked for before today is known: nothing, since there is no key then.
const NO_DAYS = { from: "", to: "" };

interface ShellProps extends Props {
  place: Place;
  status: ReactNode;
  notices: ReactNode;
  timeZone: string | null;
  children: ReactNode;
}

/** What stays in sight on every page. */
function Shell({ place, member, control, status, notices, timeZone, children }: ShellProps) {
  const { t } = useLanguage();
  return (
    <div className="shell">
      <a className="skip" href="#main">
        {t("app.skip")}
      </a>
      <Navigation place={place} wears={wears(member.roles)} helps={helps(member.roles)} />
      <div className="shell-body">
        <header className="shell-top">
          <HeaderBar>
            {status}
            <LanguageSwitch />
            <Account name={member.name} onLogOut={control.logOut} />
          </HeaderBar>
          <SessionNotices
            ending={control.ending}
            logOutFailed={control.logOutFailed}
            timeZone={timeZone}
            onStay={control.stay}
            onDismiss={control.dismiss}
          />
          {notices}
        </header>
        <main id="main" className="page" tabIndex={-1}>
          <Suspense fallback={<Coming route={place.route} />}>{children}</Suspense>
        </main>
      </div>
    </div>
  );
}

/** A page whose code is on its way; its heading is there already. */
function Coming({ route }: { route: Route }) {
  const { t, locale } = useLanguage();
  return (
    <section className="section">
      <PageTitle title={titleOf(route, t, locale)} />
      <Skeleton lines={6} />
    </section>
  );
}

/** Pages that need nobody's reports; from any other one, somebody without reports comes to the search. */
function isHelpersOwn({ page }: Route): boolean {
  return page === "more" || page === "unknown";
}

function Page({ route, member, control }: Props & { route: Route }) {
  switch (route.page) {
    case "today":
      return <Today prosthesis={route.prosthesis} />;
    case "history":
      return <History period={route.period} prosthesis={route.prosthesis} />;
    case "day":
      return <Day key={route.day} day={route.day} prosthesis={route.prosthesis} />;
    case "error":
      return <ErrorCode key={route.code} code={route.code} />;
    case "export":
      return <Export />;
    case "more":
      return <More member={member} control={control} />;
    case "support":
      return <Support onEnded={control.markEnded} />;
    case "unknown":
      return <Unknown />;
  }
}

import { use, useId, useState } from "react";
import { ACCOUNT_URL } from "../api/client";
import { ViewContext } from "../app/view";
import { LanguageSwitch, LogOutButton } from "../components/Header";
import { Help } from "../components/Contact";
import { PageTitle } from "../components/PageTitle";
import { SILENT_AFTER_MS } from "../domain/attention";
import { HOUR_MS } from "../domain/comparison";
import type { Clock } from "../domain/format";
import { formatTime } from "../domain/format";
import type { Member } from "../domain/session";
import { canNotify, notifies, setNotifies } from "../hooks/notifications";
import type { SessionControl } from "../hooks/useSession";
import { useLanguage } from "../i18n/LanguageContext";
import type { MessageKey } from "../i18n/en";
import { Prostheses } from "../components/Prostheses";

interface MoreProps {
  member: Member;
  control: SessionControl;
}

const DEVICE_ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;

/** What is set once and looked up seldom. */
export default function More({ member, control }: MoreProps) {
  const { t } = useLanguage();
  const view = use(ViewContext);
  const zone = view?.today?.timezone;
  return (
    <section className="section" data-testid="more">
      <PageTitle title={t("more.title")} />
      {view !== null && <Prostheses />}
      <Display />
      {zone !== undefined && <Zone zone={zone} />}
      {view !== null && <Notifications />}
      <Login member={member} control={control} zone={zone ?? DEVICE_ZONE} />
      <section className="card prose" aria-labelledby="help" data-testid="help">
        <h2 id="help">{t("more.help")}</h2>
        <p>{t("more.helpText")}</p>
        {view !== null && <Help />}
      </section>
    </section>
  );
}

const CLOCKS: Record<Clock, MessageKey> = {
  auto: "more.clockAuto",
  "12": "more.clock12",
  "24": "more.clock24",
};

function Display() {
  const { t, clock, chooseClock } = useLanguage();
  const id = useId();
  return (
    <section className="card prose" aria-labelledby={id}>
      <h2 id={id}>{t("more.display")}</h2>
      <LanguageSwitch names="long" />
      <fieldset className="choices">
        <legend>{t("more.clock")}</legend>
        {(["auto", "12", "24"] as const).map((option) => (
          <label key={option}>
            <input
              type="radio"
              name={id}
              checked={option === clock}
              data-testid={`clock-${option}`}
              onChange={() => {
                chooseClock(option);
              }}
            />
            {t(CLOCKS[option])}
          </label>
        ))}
      </fieldset>
    </section>
  );
}

function Zone({ zone }: { zone: string }) {
  const { t } = useLanguage();
  return (
    <section className="card prose" aria-labelledby="zone" data-testid="zone">
      <h2 id="zone">{t("more.zone")}</h2>
      <p>{t("more.zoneText", { zone })}</p>
      {DEVICE_ZONE !== zone && <p>{t("more.zoneDevice", { zone: DEVICE_ZONE })}</p>}
    </section>
  );
}

function Notifications() {
  const { t } = useLanguage();
  const [on, setOn] = useState(notifies);
  const [denied, setDenied] = useState(canNotify() && Notification.permission === "denied");
  if (!canNotify()) return null;
  const change = async (wanted: boolean) => {
    setOn(await setNotifies(wanted));
    setDenied(Notification.permission === "denied");
  };
  return (
    <section className="card prose" aria-labelledby="notices">
      <h2 id="notices">{t("more.notices")}</h2>
      <p>{t("more.noticesText", { hours: SILENT_AFTER_MS / HOUR_MS })}</p>
      <label className="choice">
        <input
          type="checkbox"
          checked={on}
          data-testid="notifications"
          onChange={(event) => void change(event.target.checked)}
        />
        {t("more.noticesOn")}
      </label>
      <p role="status">{denied && t("more.noticesDenied")}</p>
    </section>
  );
}

function Login({ member, control, zone }: MoreProps & { zone: string }) {
  const { t, locale } = useLanguage();
  return (
    <section className="card prose" aria-labelledby="login">
      <h2 id="login">{t("more.sessions")}</h2>
      {member.name !== null && <p>{member.name}</p>}
      {member.endsAt !== null && (
        <p>{t("more.sessionEnds", { time: formatTime(member.endsAt, zone, locale) })}</p>
      )}
      <LogOutButton onLogOut={control.logOut} testId="logout-here" />
      <p>
        <a href={ACCOUNT_URL} data-testid="account">
          {t("more.account")}
        </a>
        <br />
        {t("more.accountText")}
      </p>
    </section>
  );
}

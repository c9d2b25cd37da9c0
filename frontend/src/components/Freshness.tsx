import { formatTime } from "../domain/format";
import { useTick } from "../hooks/useTick";
import { useLanguage } from "../i18n/LanguageContext";
import type { MessageKey } from "../i18n/en";
import { type Translate, durationText } from "../i18n/translate";
import {
  type Cause,
  type Connection,
  type LiveState,
  LATE_AFTER_MS,
  ageOf,
  causeOf,
  isWithoutReports,
} from "../live/state";
import { Notice } from "./Notice";

const LABELS: Record<Connection, MessageKey> = {
  connecting: "live.connecting",
  live: "live.live",
  reconnecting: "live.reconnecting",
  polling: "live.polling",
  down: "live.down",
  offline: "live.offline",
};
const MINUTE_MS = 60_000;

/** How the numbers come and how old they are. It changes with the connection and with the minute, not with the second. */
export function Freshness({ live }: { live: LiveState }) {
  const { t, locale } = useLanguage();
  const now = useTick(10_000);
  const { snapshot, connection } = live;
  const age = snapshot === null ? null : ageOf(snapshot, now);
  const asOf = snapshot?.today.as_of ?? null;
  const late = connection === "live" && causeOf(live) !== null;
  return (
    <p className={`freshness-line ${late ? "late" : connection}`}>
      <span className={`dot ${late ? "late" : connection}`} aria-hidden="true" />
      <span className="freshness-state" role="status" data-testid="connection" data-value={connection}>
        {t(isWithoutReports(live) ? "live.none" : LABELS[connection])}
      </span>
      {snapshot !== null && (
        <span className="freshness-time" data-testid="as-of" data-value={asOf ?? ""} data-age-ms={age ?? ""}>
          {asOf === null
            ? t("live.never")
            : t("live.asOf", { time: formatTime(asOf, snapshot.today.timezone, locale) })}
          {age !== null && age >= MINUTE_MS && `, ${t("live.age", { age: durationText(age, t) })}`}
        </span>
      )}
    </p>
  );
}

const TEXTS: Record<Cause["kind"], MessageKey> = {
  offline: "live.offlineText",
  "no-answer": "live.downText",
  refused: "live.refusedText",
  unreadable: "live.unreadableText",
  late: "live.lateText",
};

/** Why the numbers are old, where they are: one cause, read out when it changes. */
export function CauseNotice({ live }: { live: LiveState }) {
  const { t } = useLanguage();
  const cause = causeOf(live);
  if (cause === null) return null;
  // The page of today says so at length.
  if (cause.kind === "refused" && cause.status === 404) return null;
  const text = t(TEXTS[cause.kind], {
    status: cause.kind === "refused" ? cause.status : "",
    age: cause.kind === "late" ? lateness(cause.ms, t) : "",
  });
  return (
    <Notice tone={cause.kind === "late" ? "warning" : "danger"} said={text}>
      <p>{text}</p>
    </Notice>
  );
}

function lateness(ms: number, t: Translate): string {
  return ms < MINUTE_MS ? t("duration.seconds", { seconds: LATE_AFTER_MS / 1_000 }) : durationText(ms, t);
}

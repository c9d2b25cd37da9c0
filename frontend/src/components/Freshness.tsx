import { formatTime } from "../domain/format";
import { useTick } from "../hooks/useTick";
import { useLanguage } from "../i18n/LanguageContext";
import type { MessageKey } from "../i18n/en";
import { durationText } from "../i18n/translate";
import { type Connection, type LiveState, STALE_AFTER_MS, ageOf } from "../live/state";
import { Notice } from "./Notice";

const LABELS: Record<Connection, MessageKey> = {
  connecting: "live.connecting",
  live: "live.live",
  polling: "live.polling",
  down: "live.down",
};

/** How the numbers come and how old they are. Only the connection's changes are announced, not every second. */
export function Freshness({ live }: { live: LiveState }) {
  const { t, language } = useLanguage();
  const now = useTick(1_000);
  const { snapshot, connection } = live;
  const age = snapshot === null ? null : ageOf(snapshot, now);
  const asOf = snapshot?.today.as_of ?? null;
  const stale = age !== null && age > STALE_AFTER_MS;
  return (
    <p className="freshness-line">
      <span className={`dot ${stale && connection === "live" ? "late" : connection}`} aria-hidden="true" />
      <span className="freshness-state" role="status" data-testid="connection" data-value={connection}>
        {t(LABELS[connection])}
      </span>
      {snapshot !== null && (
        <span className="freshness-time" data-testid="as-of" data-value={asOf ?? ""} data-age-ms={age ?? ""}>
          {asOf === null
            ? t("live.never")
            : t("live.asOf", { time: formatTime(asOf, snapshot.today.timezone, language) })}
          {age !== null && `, ${t("live.age", { age: durationText(age, t) })}`}
        </span>
      )}
    </p>
  );
}

/** The sentence changes once a minute at most, so that it is not read out every second. */
export function StaleNotice({ live }: { live: LiveState }) {
  const { t } = useLanguage();
  const now = useTick(1_000);
  const age = live.snapshot === null ? null : ageOf(live.snapshot, now);
  if (age === null || age <= STALE_AFTER_MS) return null;
  const minutes = Math.floor(age / 60_000);
  const text =
    minutes === 0
      ? t("duration.seconds", { seconds: STALE_AFTER_MS / 1_000 })
      : t("duration.wholeMinutes", { minutes });
  return <Notice tone="warning">{t("live.stale", { age: text })}</Notice>;
}

import type { HourOfUse } from "../api/contract";
import { HOUR_MS } from "../domain/comparison";
import { type Locale, formatTick, formatTime } from "../domain/format";
import { PITCH, type Slot, heightOf, placeOfHour, scaleOf, startOf } from "../domain/plot";
import { useLanguage } from "../i18n/LanguageContext";
import { type Translate, durationText } from "../i18n/translate";
import { Plot } from "./Plot";

interface ChartProps {
  hours: readonly HourOfUse[];
  now: number;
  timeZone: string;
}

const BAR = 7;
/** Every so many hours there is room for a name. */
export const TICK_HOURS = 3;

/** The slot of the hour at `index` of a local day. */
export function hourSlot(
  hour: { starts_at: number },
  index: number,
  text: string,
  { now, timeZone, locale, t }: { now: number; timeZone: string; locale: Locale; t: Translate },
): Slot {
  const { current, ahead } = placeOfHour(hour, now);
  const time = (at: number) => formatTime(at, timeZone, locale);
  return {
    key: String(hour.starts_at),
    name: t("chart.slot", { from: time(hour.starts_at), to: time(hour.starts_at + HOUR_MS) }),
    text: ahead ? t("chart.ahead") : text,
    tick: index % TICK_HOURS === 0 ? formatTick(hour.starts_at, timeZone, locale) : "",
    current,
    ahead,
  };
}

export function HourChart({ hours, now, timeZone }: ChartProps) {
  const { t, locale } = useLanguage();
  const scale = scaleOf(hours.map(({ ms }) => ms));
  const setting = { now, timeZone, locale, t };
  const slots = hours.map((hour, index) => hourSlot(hour, index, durationText(hour.ms, t), setting));
  return (
    <Plot
      title={t("chart.title")}
      scale={t("chart.scale", { hours: scale / HOUR_MS })}
      slots={slots}
      heads={[t("chart.hour"), t("chart.use")]}
      start={startOf(
        slots,
        hours.map(({ ms }) => ms),
      )}
      testId="hour-chart"
    >
      {hours.map(({ starts_at, ms }, index) => (
        <rect
          key={starts_at}
          className={slots[index]?.current === true ? "chart-bar current" : "chart-bar"}
          x={index * PITCH + (PITCH - BAR) / 2}
          y={100 - heightOf(ms, scale)}
          width={BAR}
          height={heightOf(ms, scale)}
        />
      ))}
    </Plot>
  );
}

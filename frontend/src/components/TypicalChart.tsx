import type { TypicalDay } from "../api/contract";
import { HOUR_MS } from "../domain/comparison";
import { formatTick, formatTime } from "../domain/format";
import { PITCH, type Slot, heightOf, scaleOf, startOf } from "../domain/plot";
import { useLanguage } from "../i18n/LanguageContext";
import { durationText } from "../i18n/translate";
import { TICK_HOURS } from "./HourChart";
import { Plot } from "./Plot";

const BOX = 6;

/** The usual day: a box from the lower to the upper quartile of each hour, and the median across it. */
export function TypicalChart({ typical }: { typical: TypicalDay }) {
  const { t, locale } = useLanguage();
  const scale = scaleOf(typical.hours.map(({ ms }) => ms.q3));
  const slots = typical.hours.map(({ hour, ms }): Slot => {
    const at = hour * HOUR_MS;
    const [median, low, high] = [ms.median, ms.q1, ms.q3].map((value) => durationText(value, t));
    return {
      key: String(hour),
      name: t("chart.slot", {
        from: formatTime(at, "UTC", locale),
        to: formatTime(at + HOUR_MS, "UTC", locale),
      }),
      text: t("chart.typicalValue", { median: median ?? "", low: low ?? "", high: high ?? "" }),
      tick: hour % TICK_HOURS === 0 ? formatTick(at, "UTC", locale) : "",
      current: false,
      ahead: false,
    };
  });
  return (
    <>
      <Plot
        title={t("chart.typical")}
        scale={t("chart.scale", { hours: scale / HOUR_MS })}
        slots={slots}
        heads={[t("chart.hour"), t("chart.use")]}
        start={startOf(
          slots,
          typical.hours.map(({ ms }) => ms.median),
        )}
        testId="typical-chart"
      >
        {typical.hours.map(({ hour, ms }) => {
          const [low, high, median] = [ms.q1, ms.q3, ms.median].map((value) => heightOf(value, scale));
          const left = hour * PITCH + (PITCH - BOX) / 2;
          return (
            <g key={hour}>
              <rect
                className="chart-box"
                x={left}
                y={100 - (high ?? 0)}
                width={BOX}
                height={(high ?? 0) - (low ?? 0)}
              />
              <path className="chart-median" d={`M${left - 1} ${100 - (median ?? 0)}h${BOX + 2}`} />
            </g>
          );
        })}
      </Plot>
      <p className="chart-note">{t("chart.typicalText", { days: typical.days })}</p>
    </>
  );
}

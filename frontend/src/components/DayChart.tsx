import { HOUR_MS } from "../domain/comparison";
import { formatShortDate, formatWeekday } from "../domain/format";
import type { HistoryRow } from "../domain/history";
import { PITCH, type Slot, heightOf, scaleOf, startOf } from "../domain/plot";
import { useLanguage } from "../i18n/LanguageContext";
import { durationText } from "../i18n/translate";
import { Plot } from "./Plot";

interface ChartProps {
  /** Oldest first; `before` are the days of the period before, in the same order. */
  days: readonly HistoryRow[];
  before: readonly HistoryRow[];
  today: string;
}

const BAR = 7;
const MOST_TICKS = 7;

/** A bar a day; the tick across it is the day of the period before. */
export function DayChart({ days, before, today }: ChartProps) {
  const { t, locale } = useLanguage();
  const scale = scaleOf([...days, ...before].map(({ totals }) => totals?.usageMs ?? 0));
  const every = Math.ceil(days.length / MOST_TICKS);
  const tickOf = days.length > MOST_TICKS ? dayOfMonth : (date: string) => formatWeekday(date, locale);
  const slots = days.map(({ date, totals }, index): Slot => {
    const earlier = before[index]?.totals ?? null;
    const more =
      earlier === null ? "" : ` (${t("history.beforeDay", { amount: durationText(earlier.usageMs, t) })})`;
    return {
      key: date,
      name: formatShortDate(date, locale),
      text: (totals === null ? t("history.none") : durationText(totals.usageMs, t)) + more,
      tick: index % every === 0 ? tickOf(date) : "",
      current: date === today,
      ahead: date > today,
    };
  });
  return (
    <Plot
      title={t("history.chart")}
      scale={t("chart.scale", { hours: scale / HOUR_MS })}
      slots={slots}
      heads={[t("history.date"), t("history.usage")]}
      start={startOf(
        slots,
        days.map(({ totals }) => totals?.usageMs ?? 0),
      )}
      testId="day-chart"
    >
      {days.map(({ date, totals }, index) => {
        const earlier = before[index]?.totals ?? null;
        const height = heightOf(totals?.usageMs ?? 0, scale);
        const left = index * PITCH;
        return (
          <g key={date}>
            <rect
              className={date === today ? "chart-bar current" : "chart-bar"}
              x={left + (PITCH - BAR) / 2}
              y={100 - height}
              width={BAR}
              height={height}
            />
            {totals === null && date <= today && <path className="chart-gap" d={`M${left + 2} 99h6`} />}
            {earlier !== null && (
              <path
                className="chart-before"
                d={`M${left + 0.5} ${100 - heightOf(earlier.usageMs, scale)}h9`}
              />
            )}
          </g>
        );
      })}
    </Plot>
  );
}

function dayOfMonth(date: string): string {
  return String(Number(date.slice(8)));
}

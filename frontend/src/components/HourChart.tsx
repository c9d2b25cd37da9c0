import type { HourOfUse } from "../api/contract";
import { type Bar, barsOf, scaleOf } from "../domain/chart";
import { HOUR_MS } from "../domain/comparison";
import { formatHour } from "../domain/format";
import { useLanguage } from "../i18n/LanguageContext";
import { type Translate, durationText } from "../i18n/translate";

interface ChartProps {
  hours: readonly HourOfUse[];
  now: number;
  timeZone: string;
}

const PITCH = 10;
const BAR = 7;

/** Bars for the eye, a table for assistive technology; both of the same numbers. */
export function HourChart({ hours, now, timeZone }: ChartProps) {
  const { t, language } = useLanguage();
  const bars = barsOf(hours, now);
  const hourText = (bar: Bar) => formatHour(bar.startsAt, timeZone, language);
  return (
    <figure className="chart">
      <figcaption>
        <span>{t("chart.title")}</span>
        <span className="chart-scale">{t("chart.scale", { hours: scaleOf(hours) / HOUR_MS })}</span>
      </figcaption>
      <svg
        className="chart-bars"
        viewBox={`0 0 ${bars.length * PITCH} 100`}
        preserveAspectRatio="none"
        role="img"
        aria-label={summary(bars, hourText, t)}
        data-testid="hour-chart"
        data-value={bars.length}
      >
        <path className="chart-grid" d={`M0 0.5H${bars.length * PITCH}M0 50H${bars.length * PITCH}`} />
        {bars.map((bar, index) => (
          <g key={bar.startsAt}>
            <title>{t("chart.bar", { hour: hourText(bar), amount: durationText(bar.ms, t) })}</title>
            <rect className="chart-hit" x={index * PITCH} y={0} width={PITCH} height={100} />
            <rect
              className={bar.current ? "chart-bar current" : "chart-bar"}
              x={index * PITCH + (PITCH - BAR) / 2}
              y={100 - bar.height}
              width={BAR}
              height={bar.height}
            />
          </g>
        ))}
      </svg>
      <HourLabels bars={bars} hourText={hourText} />
      <HourTable bars={bars} hourText={hourText} t={t} />
    </figure>
  );
}

function summary(bars: readonly Bar[], hourText: (bar: Bar) => string, t: Translate): string {
  const most = bars.reduce<Bar | null>((peak, bar) => (bar.ms > (peak?.ms ?? 0) ? bar : peak), null);
  if (most === null) return t("chart.summaryEmpty");
  return t("chart.summary", { hour: hourText(most), amount: durationText(most.ms, t) });
}

interface PartProps {
  bars: readonly Bar[];
  hourText: (bar: Bar) => string;
}

/** Every third hour has a label; the tick's place comes from the same grid as the bars. */
function HourLabels({ bars, hourText }: PartProps) {
  return (
    <ol className="chart-hours" aria-hidden="true">
      {bars.map((bar, index) => (
        <li key={bar.startsAt} className={bar.current ? "current" : ""}>
          {index % 3 === 0 ? hourText(bar).slice(0, 2) : ""}
        </li>
      ))}
    </ol>
  );
}

function HourTable({ bars, hourText, t }: PartProps & { t: Translate }) {
  return (
    <table className="visually-hidden">
      <caption>{t("chart.title")}</caption>
      <thead>
        <tr>
          <th scope="col">{t("chart.hour")}</th>
          <th scope="col">{t("chart.use")}</th>
        </tr>
      </thead>
      <tbody>
        {bars
          .filter((bar) => !bar.ahead)
          .map((bar) => (
            <tr key={bar.startsAt}>
              <th scope="row">{hourText(bar)}</th>
              <td>{durationText(bar.ms, t)}</td>
            </tr>
          ))}
      </tbody>
    </table>
  );
}

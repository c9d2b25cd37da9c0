import type { HourOfBattery, HourOfUse } from "../api/contract";
import { formatPercent } from "../domain/format";
import { PITCH } from "../domain/plot";
import { useLanguage } from "../i18n/LanguageContext";
import { hourSlot } from "./HourChart";
import { Plot } from "./Plot";

interface ChartProps {
  /** All hours of the day, and those that have a reading. */
  hours: readonly HourOfUse[];
  battery: readonly HourOfBattery[];
  now: number;
  timeZone: string;
}

/** The battery over the day: from each hour's first reading to its last. */
export function BatteryChart({ hours, battery, now, timeZone }: ChartProps) {
  const { t, locale } = useLanguage();
  const setting = { now, timeZone, locale, t };
  const levels = ({ first_percent, last_percent }: HourOfBattery) => {
    const [from, to] = [formatPercent(first_percent, locale), formatPercent(last_percent, locale)];
    return from === to ? from : t("chart.fromTo", { from, to });
  };
  const slots = hours.map((hour, index) => {
    const reading = battery.find(({ starts_at }) => starts_at === hour.starts_at);
    return hourSlot(hour, index, reading === undefined ? t("chart.noReading") : levels(reading), setting);
  });
  return (
    <Plot
      title={t("chart.battery")}
      scale={t("chart.upTo", { percent: formatPercent(100, locale) })}
      slots={slots}
      heads={[t("chart.hour"), t("chart.level")]}
      start={hours.findIndex((hour) => hour.starts_at === battery.at(-1)?.starts_at)}
      testId="battery-chart"
    >
      <path className="chart-line" d={lineOf(hours, battery)} />
    </Plot>
  );
}

/** Two points an hour, a little inside its slot, so that the first and the last reading can be told apart. */
function lineOf(hours: readonly HourOfUse[], battery: readonly HourOfBattery[]): string {
  const points = battery.flatMap(({ starts_at, first_percent, last_percent }) => {
    const index = hours.findIndex((hour) => hour.starts_at === starts_at);
    const left = index * PITCH;
    return index === -1
      ? []
      : [`${left + 2} ${100 - first_percent}`, `${left + PITCH - 2} ${100 - last_percent}`];
  });
  return points.length === 0 ? "" : `M${points.join("L")}`;
}

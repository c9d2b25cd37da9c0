import type { ReactNode } from "react";
import type { DailyReport } from "../api/contract";
import type { Comparison } from "../domain/comparison";
import {
  type Locale,
  durationParts,
  formatInteger,
  formatPercent,
  formatPoints,
  formatShare,
} from "../domain/format";
import { useLanguage } from "../i18n/LanguageContext";
import { type Translate, roughDuration } from "../i18n/translate";
import { LOW_PERCENT } from "../domain/attention";
import { paceOf } from "../domain/outlook";
import { BatteryGlyph, Ring } from "./Glyphs";

interface MetricProps {
  report: DailyReport;
  comparison: Comparison | null;
}

interface FrameProps {
  label: string;
  testId: string;
  /** The raw number, as the API tells it. */
  raw: number | string;
  glyph?: ReactNode;
  notes: (string | null)[];
  tone?: "danger" | "plain";
  children: ReactNode;
}

function Frame({ label, testId, raw, glyph, notes, tone = "plain", children }: FrameProps) {
  return (
    <div className={`metric ${tone}`}>
      <dt>{label}</dt>
      <dd className="metric-value">
        {glyph}
        <span data-testid={testId} data-value={raw}>
          {children}
        </span>
      </dd>
      {notes
        .filter((note) => note !== null)
        .map((note) => (
          <dd className="metric-note" key={note}>
            {note}
          </dd>
        ))}
    </div>
  );
}

export function UsageMetric({ report, comparison }: MetricProps) {
  const { t } = useLanguage();
  const { hours, minutes } = durationParts(report.usage.total_ms);
  return (
    <Frame
      label={t("today.usage")}
      testId="today-usage"
      raw={report.usage.total_ms}
      notes={[comparison === null ? null : usageNote(comparison, t)]}
    >
      {hours} <small>{t("unit.hour")}</small> {minutes} <small>{t("unit.minute")}</small>
    </Frame>
  );
}

function usageNote(comparison: Comparison, t: Translate): string {
  const pace = paceOf(comparison);
  if (pace === "usual") return t("compare.same");
  const amount = roughDuration(comparison.usageDifferenceMs, t);
  return t(pace === "more" ? "compare.more" : "compare.less", { amount });
}

export function EfficiencyMetric({ report, comparison }: MetricProps) {
  const { t, locale } = useLanguage();
  const { count, recognised_count, efficiency } = report.signals;
  const recognised = formatInteger(recognised_count, locale);
  const of = t("today.efficiencyOf", { recognised, count: formatInteger(count, locale) });
  return (
    <Frame
      label={t("today.efficiency")}
      testId="today-efficiency"
      raw={efficiency ?? ""}
      glyph={<Ring share={efficiency ?? 0} />}
      notes={[efficiency === null ? t("today.noSignals") : of, pointsNote(comparison, t, locale)]}
    >
      {efficiency === null ? t("value.none") : formatShare(efficiency, locale)}
    </Frame>
  );
}

/** Half a point: what rounds to nothing is nothing. */
const SAME_SHARE = 0.005;

function pointsNote(comparison: Comparison | null, t: Translate, locale: Locale): string | null {
  const difference = comparison?.efficiencyDifference ?? null;
  if (difference === null) return null;
  if (Math.abs(difference) < SAME_SHARE) return t("compare.pointsSame");
  const points = formatPoints(difference, locale);
  return t(difference > 0 ? "compare.pointsUp" : "compare.pointsDown", { points });
}

export function BatteryMetric({ report: { battery } }: { report: DailyReport }) {
  const { t, locale } = useLanguage();
  const drain = battery === null ? null : formatPercent(battery.drain_percent, locale);
  return (
    <Frame
      label={t("today.battery")}
      testId="today-battery"
      raw={battery?.last_percent ?? ""}
      glyph={<BatteryGlyph percent={battery?.last_percent ?? 0} />}
      notes={[
        battery !== null && battery.last_percent <= LOW_PERCENT ? t("today.batteryLow") : null,
        drain === null ? t("today.noBattery") : t("today.drain", { percent: drain }),
      ]}
    >
      {battery === null ? t("value.none") : formatPercent(battery.last_percent, locale)}
    </Frame>
  );
}

export function ErrorsMetric({ report: { errors } }: { report: DailyReport }) {
  const { t, locale } = useLanguage();
  const critical = t("today.critical", { count: formatInteger(errors.critical_count, locale) });
  return (
    <Frame
      label={t("today.errors")}
      testId="today-errors"
      raw={errors.count}
      tone={errors.critical_count > 0 ? "danger" : "plain"}
      notes={[errors.count === 0 ? t("today.noErrors") : critical]}
    >
      {formatInteger(errors.count, locale)}
    </Frame>
  );
}

import type { ReactNode } from "react";
import type { DailyReport } from "../api/contract";
import type { Comparison } from "../domain/comparison";
import { durationParts, formatInteger, formatPercent, formatPoints, formatShare } from "../domain/format";
import { useLanguage } from "../i18n/LanguageContext";
import { type Translate, durationText } from "../i18n/translate";
import { BatteryGlyph, LOW_PERCENT, Ring } from "./Glyphs";

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
  const { hours, minutes, seconds } = durationParts(report.usage.total_ms);
  return (
    <Frame
      label={t("today.usage")}
      testId="today-usage"
      raw={report.usage.total_ms}
      notes={[comparison === null ? null : usageNote(comparison, t)]}
    >
      {hours} <small>{t("unit.hour")}</small> {pad(minutes)} <small>{t("unit.minute")}</small>{" "}
      <span className="seconds">
        {pad(seconds)} <small>{t("unit.second")}</small>
      </span>
    </Frame>
  );
}

function pad(value: number): string {
  return String(value).padStart(2, "0");
}

const SAME_USAGE_MS = 60_000;

function usageNote({ usageDifferenceMs }: Comparison, t: Translate): string {
  if (Math.abs(usageDifferenceMs) < SAME_USAGE_MS) return t("compare.same");
  const amount = durationText(Math.abs(usageDifferenceMs), t);
  return t(usageDifferenceMs > 0 ? "compare.more" : "compare.less", { amount });
}

export function EfficiencyMetric({ report, comparison }: MetricProps) {
  const { t, language } = useLanguage();
  const { count, recognised_count, efficiency } = report.signals;
  const recognised = formatInteger(recognised_count, language);
  const of = t("today.efficiencyOf", { recognised, count: formatInteger(count, language) });
  return (
    <Frame
      label={t("today.efficiency")}
      testId="today-efficiency"
      raw={efficiency ?? ""}
      glyph={<Ring share={efficiency ?? 0} />}
      notes={[efficiency === null ? t("today.noSignals") : of, pointsNote(comparison, t, language)]}
    >
      {efficiency === null ? t("value.none") : formatShare(efficiency, language)}
    </Frame>
  );
}

const SAME_SHARE = 0.0005;

function pointsNote(comparison: Comparison | null, t: Translate, language: "en" | "ru"): string | null {
  const difference = comparison?.efficiencyDifference ?? null;
  if (difference === null) return null;
  if (Math.abs(difference) < SAME_SHARE) return t("compare.pointsSame");
  const points = formatPoints(difference, language);
  return t(difference > 0 ? "compare.pointsUp" : "compare.pointsDown", { points });
}

export function BatteryMetric({ report: { battery } }: { report: DailyReport }) {
  const { t, language } = useLanguage();
  const drain = battery === null ? null : formatPercent(battery.drain_percent, language);
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
      {battery === null ? t("value.none") : formatPercent(battery.last_percent, language)}
    </Frame>
  );
}

export function ErrorsMetric({ report: { errors } }: { report: DailyReport }) {
  const { t, language } = useLanguage();
  const critical = t("today.critical", { count: formatInteger(errors.critical_count, language) });
  return (
    <Frame
      label={t("today.errors")}
      testId="today-errors"
      raw={errors.count}
      tone={errors.critical_count > 0 ? "danger" : "plain"}
      notes={[errors.count === 0 ? t("today.noErrors") : critical]}
    >
      {formatInteger(errors.count, language)}
    </Frame>
  );
}

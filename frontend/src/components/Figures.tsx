import type { ReactNode } from "react";
import { getSummary } from "../api/client";
import type { Summary } from "../api/contract";
import { useView } from "../app/view";
import { formatInteger, formatPercent, formatPoints, formatRate, formatShare } from "../domain/format";
import { type Range, daysIn } from "../domain/history";
import { useLoaded } from "../hooks/useLoaded";
import { useLanguage } from "../i18n/LanguageContext";
import { durationText } from "../i18n/translate";
import { Part } from "./states";

interface FiguresProps {
  range: Range;
  /** Of this prosthesis alone; null: of all together. */
  prosthesis: string | null;
}

/** A period's figures, as the service defines them, each with its change against as many days before. */
export function Figures({ range, prosthesis }: FiguresProps) {
  const { subject, control } = useView();
  const asked = prosthesis === null ? range : { ...range, prosthesis_id: prosthesis };
  const loaded = useLoaded(
    JSON.stringify(asked),
    (_, signal) => getSummary(subject, asked, signal),
    control.markEnded,
  );
  return (
    <Part loaded={loaded} lines={2}>
      {(summary) => <Numbers summary={summary} days={daysIn(range)} />}
    </Part>
  );
}

function Numbers({ summary: { current, change }, days }: { summary: Summary; days: number }) {
  const { t, locale } = useLanguage();
  const { usage, signals, errors } = current;
  const none = t("value.none");
  return (
    <dl className="metrics" data-testid="figures">
      <Figure
        label={t("history.meanUsage")}
        change={change.usage_per_day_ratio}
        amount={formatPercent(Math.abs(change.usage_per_day_ratio ?? 0) * 100, locale)}
        same={0.005}
      >
        {usage.mean_ms_per_day === null ? none : durationText(usage.mean_ms_per_day, t)}
      </Figure>
      <Figure
        label={t("today.efficiency")}
        change={change.efficiency_difference}
        amount={t("history.points", { points: formatPoints(change.efficiency_difference ?? 0, locale) })}
        same={0.005}
      >
        {signals.efficiency === null ? none : formatShare(signals.efficiency, locale)}
      </Figure>
      <Figure
        label={t("today.errors")}
        change={change.errors_per_day_difference}
        amount={t("history.perDay", { count: formatRate(change.errors_per_day_difference ?? 0, locale) })}
        same={0.05}
      >
        {formatInteger(errors.count, locale)}{" "}
        {errors.critical_count > 0 && (
          <small className="critical">
            {t("today.critical", { count: formatInteger(errors.critical_count, locale) })}
          </small>
        )}
      </Figure>
      <div className="metric">
        <dt>{t("history.daysWithData")}</dt>
        <dd className="metric-value">{t("history.daysOf", { count: current.days_with_data, days })}</dd>
        <dd className="metric-note">{t("history.complete", { count: current.complete_days })}</dd>
      </div>
    </dl>
  );
}

interface FigureProps {
  label: string;
  /** Null where there is nothing to compare with; `same`: less than this is no change. */
  change: number | null;
  same: number;
  amount: string;
  children: ReactNode;
}

function Figure({ label, change, same, amount, children }: FigureProps) {
  const { t } = useLanguage();
  const key =
    change === null
      ? "history.noBefore"
      : Math.abs(change) < same
        ? "history.changeNone"
        : change > 0
          ? "history.changeUp"
          : "history.changeDown";
  return (
    <div className="metric">
      <dt>{label}</dt>
      <dd className="metric-value">{children}</dd>
      <dd className="metric-note">{t(key, { change: amount })}</dd>
    </div>
  );
}

import type { ReactNode } from "react";
import { formatInteger, formatPercent, formatPoints, formatShare } from "../domain/format";
import { type Figures as Numbers, daysIn, type Range } from "../domain/history";
import { useLanguage } from "../i18n/LanguageContext";
import { durationText } from "../i18n/translate";

interface FiguresProps {
  now: Numbers;
  before: Numbers;
  range: Range;
}

/** A period's numbers, each with its change against as many days before. Whole days only. */
export function Figures({ now, before, range }: FiguresProps) {
  const { t, locale } = useLanguage();
  const usage = now.usageMsPerDay;
  const usageBefore = before.usageMsPerDay;
  const change = usage === null || !usageBefore ? null : (usage - usageBefore) / usageBefore;
  const points =
    now.efficiency === null || before.efficiency === null ? null : now.efficiency - before.efficiency;
  const errors = before.days === 0 ? null : now.errors - before.errors;
  const none = t("value.none");
  return (
    <dl className="metrics" data-testid="figures">
      <Figure
        label={t("history.meanUsage")}
        change={change}
        amount={formatPercent(Math.abs(change ?? 0) * 100, locale)}
        same={0.005}
      >
        {usage === null ? none : durationText(usage, t)}
      </Figure>
      <Figure
        label={t("today.efficiency")}
        change={points}
        amount={t("history.points", { points: formatPoints(points ?? 0, locale) })}
        same={0.005}
      >
        {now.efficiency === null ? none : formatShare(now.efficiency, locale)}
      </Figure>
      <Figure
        label={t("today.errors")}
        change={errors}
        amount={formatInteger(Math.abs(errors ?? 0), locale)}
        same={0.5}
      >
        {formatInteger(now.errors, locale)}{" "}
        {now.criticalErrors > 0 && (
          <small className="critical">
            {t("today.critical", { count: formatInteger(now.criticalErrors, locale) })}
          </small>
        )}
      </Figure>
      <div className="metric">
        <dt>{t("history.daysWithData")}</dt>
        <dd className="metric-value">{t("history.daysOf", { count: now.days, days: daysIn(range) })}</dd>
        <dd className="metric-note">{t("history.wholeDays")}</dd>
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

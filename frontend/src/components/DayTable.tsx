import type { ReactNode } from "react";
import { formatInteger, formatPercent, formatShare, formatShortDate } from "../domain/format";
import { type DayTotals, type Drain, type HistoryRow, efficiencyOf } from "../domain/history";
import { useLanguage } from "../i18n/LanguageContext";
import type { MessageKey } from "../i18n/en";
import { durationText } from "../i18n/translate";
import { Link } from "../router/Link";

interface TableProps {
  rows: readonly HistoryRow[];
  today: string;
  prosthesis: string | null;
}

const COLUMNS: readonly (readonly [MessageKey, string])[] = [
  ["history.date", ""],
  ["history.usage", ""],
  ["history.efficiency", "number"],
  ["history.drain", "number"],
  ["history.errors", "number"],
];

/** A row a day, which leads to the day; on a narrow screen a row is a card. */
export function DayTable({ rows, today, prosthesis }: TableProps) {
  const { t } = useLanguage();
  const most = Math.max(1, ...rows.map((row) => row.totals?.usageMs ?? 0));
  return (
    <div className="card table-card">
      <table className="history" role="table">
        <thead role="rowgroup">
          <tr role="row">
            {COLUMNS.map(([key, className]) => (
              <th key={key} role="columnheader" scope="col" className={className}>
                {t(key)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody role="rowgroup">
          {rows.map((row) => (
            <Row key={row.date} row={row} most={most} isToday={row.date === today} prosthesis={prosthesis} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface RowProps {
  row: HistoryRow;
  most: number;
  isToday: boolean;
  prosthesis: string | null;
}

function Row({ row, most, isToday, prosthesis }: RowProps) {
  const { t, locale } = useLanguage();
  return (
    <tr role="row" className={isToday ? "today" : ""} data-testid="history-row" data-date={row.date}>
      <th role="rowheader" scope="row">
        <Link to={{ page: "day", day: row.date, prosthesis }}>
          <time dateTime={row.date}>{formatShortDate(row.date, locale)}</time>
        </Link>
        {isToday && <span className="so-far">{t("history.today")}</span>}
      </th>
      {row.totals === null ? (
        <td role="cell" colSpan={4} className="none" data-testid="history-none">
          {t("history.none")}
        </td>
      ) : (
        <Cells totals={row.totals} most={most} />
      )}
    </tr>
  );
}

function Cells({ totals, most }: { totals: DayTotals; most: number }) {
  const { t, locale } = useLanguage();
  const efficiency = efficiencyOf(totals);
  return (
    <>
      <td role="cell" data-testid="history-usage" data-value={totals.usageMs}>
        <Label text={t("history.usage")} />
        <span className="usage-cell">
          <span>{durationText(totals.usageMs, t)}</span>
          <svg className="usage-bar" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">
            <rect className="usage-ground" width="100" height="6" />
            <rect className="usage-fill" width={(totals.usageMs / most) * 100} height="6" />
          </svg>
        </span>
      </td>
      <NumberCell label="history.efficiency">
        {efficiency === null ? t("value.none") : formatShare(efficiency, locale)}
      </NumberCell>
      <NumberCell label="history.drain" testId="history-drain">
        <Drains drains={totals.drains} />
      </NumberCell>
      <NumberCell label="history.errors">
        {formatInteger(totals.errors, locale)}
        {totals.criticalErrors > 0 && (
          <span className="critical">
            {t("today.critical", { count: formatInteger(totals.criticalErrors, locale) })}
          </span>
        )}
      </NumberCell>
    </>
  );
}

interface NumberCellProps {
  label: MessageKey;
  testId?: string;
  children: ReactNode;
}

function NumberCell({ label, testId, children }: NumberCellProps) {
  const { t } = useLanguage();
  return (
    <td role="cell" className="number" data-testid={testId}>
      <Label text={t(label)} />
      {children}
    </td>
  );
}

/** The column's name beside the value where a row is a card; assistive technology has the column's head. */
function Label({ text }: { text: string }) {
  return (
    <span className="cell-label" aria-hidden="true">
      {text}
    </span>
  );
}

/** One prosthesis needs no name beside its number; several do. */
function Drains({ drains }: { drains: readonly Drain[] }) {
  const { t, locale } = useLanguage();
  if (drains.length === 0) return t("value.none");
  return drains.map(({ prosthesis, percent }, index) => (
    <span key={`${prosthesis}-${index}`} className="drain">
      {drains.length > 1 && <span className="drain-of">{prosthesis}</span>} {formatPercent(percent, locale)}
    </span>
  ));
}

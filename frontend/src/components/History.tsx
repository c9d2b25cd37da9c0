import type { Today } from "../api/contract";
import { formatInteger, formatPercent, formatShare, formatShortDate } from "../domain/format";
import { type DayTotals, type Drain, type HistoryRow, efficiencyOf, historyRows } from "../domain/history";
import type { EarlierDays } from "../hooks/useEarlierDays";
import { useLanguage } from "../i18n/LanguageContext";
import { durationText } from "../i18n/translate";

export function History({ today, earlier }: { today: Today; earlier: EarlierDays }) {
  const { t } = useLanguage();
  return (
    <section className="section" aria-labelledby="history-title">
      <h2 id="history-title">{t("history.title")}</h2>
      {earlier.failed && (
        <div className="notice warning" role="status">
          <p>{t("history.failed")}</p>
          <button type="button" className="button quiet" onClick={earlier.retry}>
            {t("history.retry")}
          </button>
        </div>
      )}
      {earlier.reports === null && !earlier.failed && <p className="empty">{t("history.loading")}</p>}
      {earlier.reports !== null && (
        <HistoryTable rows={historyRows(earlier.reports, today.items, today.report_date)} />
      )}
    </section>
  );
}

function HistoryTable({ rows }: { rows: HistoryRow[] }) {
  const { t } = useLanguage();
  const most = Math.max(1, ...rows.map((row) => row.totals?.usageMs ?? 0));
  return (
    <div className="card table-card">
      <table className="history" role="table">
        <thead role="rowgroup">
          <tr role="row">
            <th role="columnheader" scope="col">
              {t("history.date")}
            </th>
            <th role="columnheader" scope="col">
              {t("history.usage")}
            </th>
            <th role="columnheader" scope="col" className="number">
              {t("history.efficiency")}
            </th>
            <th role="columnheader" scope="col" className="number">
              {t("history.drain")}
            </th>
            <th role="columnheader" scope="col" className="number">
              {t("history.errors")}
            </th>
          </tr>
        </thead>
        <tbody role="rowgroup">
          {rows.map((row, index) => (
            <Row key={row.date} row={row} most={most} isToday={index === 0} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Row({ row, most, isToday }: { row: HistoryRow; most: number; isToday: boolean }) {
  const { t, language } = useLanguage();
  return (
    <tr role="row" className={isToday ? "today" : ""} data-testid="history-row" data-date={row.date}>
      <th role="rowheader" scope="row">
        <time dateTime={row.date}>{formatShortDate(row.date, language)}</time>
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
  const { t, language } = useLanguage();
  if (drains.length === 0) return t("value.none");
  return drains.map(({ prosthesis, percent }) => (
    <span key={prosthesis} className="drain">
      {drains.length > 1 && <span className="drain-of">{prosthesis}</span>} {formatPercent(percent, language)}
    </span>
  ));
}

function Cells({ totals, most }: { totals: DayTotals; most: number }) {
  const { t, language } = useLanguage();
  const efficiency = efficiencyOf(totals);
  const none = t("value.none");
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
      <td role="cell" className="number">
        <Label text={t("history.efficiency")} />
        {efficiency === null ? none : formatShare(efficiency, language)}
      </td>
      <td role="cell" className="number" data-testid="history-drain">
        <Label text={t("history.drain")} />
        <Drains drains={totals.drains} />
      </td>
      <td role="cell" className="number">
        <Label text={t("history.errors")} />
        {formatInteger(totals.errors, language)}
        {totals.criticalErrors > 0 && (
          <span className="critical">
            {t("today.critical", { count: formatInteger(totals.criticalErrors, language) })}
          </span>
        )}
      </td>
    </>
  );
}

import { useId, useState } from "react";
import { type ExportFormat, getExport } from "../api/client";
import { failureFrom } from "../api/failures";
import type { DailyReport, Today } from "../api/contract";
import { useView } from "../app/view";
import { DayTable } from "../components/DayTable";
import { Figures } from "../components/Figures";
import { PageTitle } from "../components/PageTitle";
import { PeriodChoice } from "../components/PeriodChoice";
import { saveFile } from "../components/saveFile";
import { Empty, Part, WithoutToday } from "../components/states";
import { nameOf } from "../domain/attention";
import { formatFullDate } from "../domain/format";
import { type Range, historyRows, prosthesesOf, rangeOfPeriod } from "../domain/history";
import { usePeriod } from "../hooks/usePeriod";
import { useLanguage } from "../i18n/LanguageContext";
import type { Period } from "../router/routes";

/** A period and a prosthesis, what they hold, and that as a file or on paper. */
export default function Export() {
  const { t } = useLanguage();
  const { today } = useView();
  return (
    <section className="section" data-testid="export">
      <PageTitle title={t("export.title")} />
      <p className="no-print">{t("export.text")}</p>
      {today === null ? <WithoutToday /> : <Choices today={today} />}
    </section>
  );
}

function Choices({ today }: { today: Today }) {
  const [period, setPeriod] = useState<Period>({ days: 30 });
  const [prosthesis, setProsthesis] = useState<string | null>(null);
  const range = rangeOfPeriod(period, today.report_date);
  const loaded = usePeriod(range, false);
  const all = prosthesesOf([...(loaded.value ?? []), ...today.items]);
  const known = all.some((report) => report.prosthesis_id === prosthesis) ? prosthesis : null;
  return (
    <>
      <div className="card export no-print">
        <PeriodChoice period={period} range={range} lastDay={today.report_date} onChoose={setPeriod} />
        {all.length > 1 && <ProsthesisChoice all={all} chosen={known} onChoose={setProsthesis} />}
        <Files range={range} prosthesis={known} several={all.length > 1} />
      </div>
      <Part loaded={loaded} lines={6}>
        {(reports) => <Preview reports={reports} today={today} range={range} prosthesis={known} />}
      </Part>
    </>
  );
}

interface ChoiceProps {
  all: readonly DailyReport[];
  chosen: string | null;
  onChoose: (prosthesis: string | null) => void;
}

function ProsthesisChoice({ all, chosen, onChoose }: ChoiceProps) {
  const { t } = useLanguage();
  const id = useId();
  return (
    <p className="field">
      <label htmlFor={id}>{t("export.prosthesis")}</label>
      <select
        id={id}
        value={chosen ?? ""}
        onChange={(event) => {
          onChoose(event.target.value === "" ? null : event.target.value);
        }}
      >
        <option value="">{t("export.all")}</option>
        {all.map((report) => (
          <option key={report.prosthesis_id} value={report.prosthesis_id}>
            {nameOf(report)}
          </option>
        ))}
      </select>
    </p>
  );
}

type Progress = { step: "idle" | "busy" | "failed" } | { step: "done"; name: string };

interface FilesProps {
  range: Range;
  prosthesis: string | null;
  several: boolean;
}

function Files({ range, prosthesis, several }: FilesProps) {
  const { t, language } = useLanguage();
  const { subject, control } = useView();
  const [progress, setProgress] = useState<Progress>({ step: "idle" });
  const busy = progress.step === "busy";
  const run = async (format: ExportFormat) => {
    if (busy) return;
    setProgress({ step: "busy" });
    const asked = prosthesis === null ? range : { ...range, prosthesis_id: prosthesis };
    try {
      const name = `bionicpro-${range.from}-${range.to}.${format}`;
      saveFile(await getExport(subject, format, asked, language, new AbortController().signal), name);
      setProgress({ step: "done", name });
    } catch (error) {
      if (failureFrom(error).kind === "session-ended") control.markEnded();
      else setProgress({ step: "failed" });
    }
  };
  return (
    <>
      <p className="export-controls">
        {(["pdf", "csv"] as const).map((format) => (
          <button
            key={format}
            type="button"
            className="button"
            data-testid={`export-${format}`}
            aria-disabled={busy}
            onClick={() => void run(format)}
          >
            {t(`export.${format}`)}
          </button>
        ))}
        <button
          type="button"
          className="button"
          data-testid="print"
          onClick={() => {
            window.print();
          }}
        >
          {t("export.print")}
        </button>
      </p>
      {several && prosthesis !== null && <p className="export-note">{t("export.pdfAll")}</p>}
      <p className="export-note" role="status">
        {progress.step === "busy" && t("export.busy")}
        {progress.step === "done" && t("export.done", { name: progress.name })}
        {progress.step === "failed" && t("export.failed")}
      </p>
    </>
  );
}

interface PreviewProps {
  reports: readonly DailyReport[];
  today: Today;
  range: Range;
  prosthesis: string | null;
}

/** What the files hold, and what is printed. */
function Preview({ reports, today, range, prosthesis }: PreviewProps) {
  const { t, locale } = useLanguage();
  const { control } = useView();
  const chosen = (report: DailyReport) => prosthesis === null || report.prosthesis_id === prosthesis;
  const live = { date: today.report_date, items: today.items.filter(chosen) };
  const rows = historyRows(reports.filter(chosen), live, range);
  if (rows.every(({ totals }) => totals === null)) {
    return <Empty title={t("history.empty")} text={t("history.emptyText")} testId="history-empty" />;
  }
  return (
    <section className="section" aria-labelledby="preview" data-testid="preview">
      <h2 id="preview">{t("export.preview")}</h2>
      <p>
        <span className="print-only">
          {control.session.status === "in" && control.session.name !== null
            ? `${control.session.name}, `
            : ""}
        </span>
        {t("export.range", {
          from: formatFullDate(range.from, locale),
          to: formatFullDate(range.to, locale),
        })}
        <span className="zone">{t("today.timezone", { zone: today.timezone })}</span>
      </p>
      <Figures range={range} prosthesis={prosthesis} />
      <DayTable rows={rows} today={today.report_date} prosthesis={prosthesis} />
    </section>
  );
}

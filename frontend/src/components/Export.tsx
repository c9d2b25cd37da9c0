import { useId, useState } from "react";
import { type ExportFormat, getExport } from "../api/client";
import { failureFrom } from "../api/failures";
import { addDays } from "../domain/days";
import { useLanguage } from "../i18n/LanguageContext";
import { saveFile } from "./saveFile";

const PERIODS = [7, 30, 90] as const;
type Progress = { step: "idle" | "busy" | "failed" } | { step: "done"; name: string };

interface ExportProps {
  /** The period's last day, `YYYY-MM-DD`. */
  lastDay: string;
  onEnded: () => void;
}

export function Export({ lastDay, onEnded }: ExportProps) {
  const { t, language } = useLanguage();
  const periodId = useId();
  const [days, setDays] = useState<number>(30);
  const [progress, setProgress] = useState<Progress>({ step: "idle" });

  const run = async (format: ExportFormat) => {
    if (progress.step === "busy") return;
    setProgress({ step: "busy" });
    const range = { from: addDays(lastDay, 1 - days), to: lastDay };
    try {
      const name = `bionicpro-${range.from}-${range.to}.${format}`;
      saveFile(await getExport(format, range, language, new AbortController().signal), name);
      setProgress({ step: "done", name });
    } catch (error) {
      if (failureFrom(error).kind === "session-ended") onEnded();
      else setProgress({ step: "failed" });
    }
  };

  return (
    <section className="section" aria-labelledby="export-title">
      <h2 id="export-title">{t("export.title")}</h2>
      <div className="card export">
        <p>{t("export.text")}</p>
        <div className="export-controls">
          <label htmlFor={periodId}>{t("export.period")}</label>
          <select
            id={periodId}
            value={days}
            onChange={(event) => {
              setDays(Number(event.target.value));
            }}
          >
            {PERIODS.map((period) => (
              <option key={period} value={period}>
                {t("export.days", { days: period })}
              </option>
            ))}
          </select>
          {(["csv", "pdf"] as const).map((format) => (
            <button
              key={format}
              type="button"
              className="button"
              data-testid={`export-${format}`}
              aria-disabled={progress.step === "busy"}
              onClick={() => void run(format)}
            >
              {t(format === "csv" ? "export.csv" : "export.pdf")}
            </button>
          ))}
          <p className="export-note" role="status">
            {progress.step === "busy" && t("export.busy")}
            {progress.step === "done" && t("export.done", { name: progress.name })}
            {progress.step === "failed" && t("export.failed")}
          </p>
        </div>
      </div>
    </section>
  );
}

import { useId, useState } from "react";
import type { Range } from "../domain/history";
import { useLanguage } from "../i18n/LanguageContext";
import { type Period, RANGE_DAYS, periodOf } from "../router/routes";

interface ChoiceProps {
  period: Period;
  /** The days that the period stands for now. */
  range: Range;
  /** No day after this one can be asked for. */
  lastDay: string;
  onChoose: (period: Period) => void;
}

/** The last days by one tap, any others by two dates. */
export function PeriodChoice({ period, range, lastDay, onChoose }: ChoiceProps) {
  const { t } = useLanguage();
  return (
    <div className="period" role="group" aria-label={t("history.period")}>
      <div className="switch">
        {RANGE_DAYS.map((days) => (
          <button
            key={days}
            type="button"
            aria-pressed={"days" in period && period.days === days}
            data-testid={`period-${days}`}
            onClick={() => {
              onChoose({ days });
            }}
          >
            {t("history.days", { days })}
          </button>
        ))}
      </div>
      <OtherDays range={range} lastDay={lastDay} onChoose={onChoose} />
    </div>
  );
}

function OtherDays({ range, lastDay, onChoose }: Omit<ChoiceProps, "period">) {
  const { t } = useLanguage();
  const [edited, setEdited] = useState<Range | null>(null);
  const { from, to } = edited ?? range;
  const [wrong, setWrong] = useState(false);
  const id = useId();
  const show = () => {
    const chosen = periodOf(`${from}..${to}`);
    setWrong(chosen === null);
    if (chosen === null) return;
    setEdited(null);
    onChoose(chosen);
  };
  return (
    <details className="other-days">
      <summary data-testid="other-days">{t("history.other")}</summary>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          show();
        }}
        noValidate
      >
        <DayField
          id={`${id}-from`}
          label={t("history.from")}
          value={from}
          max={lastDay}
          onChange={(value) => {
            setEdited({ from: value, to });
          }}
        />
        <DayField
          id={`${id}-to`}
          label={t("history.to")}
          value={to}
          max={lastDay}
          onChange={(value) => {
            setEdited({ from, to: value });
          }}
        />
        <button type="submit" className="button quiet" data-testid="show-period">
          {t("history.show")}
        </button>
        <p role="alert" className="form-error">
          {wrong && t("history.badPeriod")}
        </p>
      </form>
    </details>
  );
}

interface FieldProps {
  id: string;
  label: string;
  value: string;
  max: string;
  onChange: (value: string) => void;
}

function DayField({ id, label, value, max, onChange }: FieldProps) {
  return (
    <span className="field">
      <label htmlFor={id}>{label}</label>
      <input
        id={id}
        type="date"
        value={value}
        max={max}
        onChange={(event) => {
          onChange(event.target.value);
        }}
      />
    </span>
  );
}

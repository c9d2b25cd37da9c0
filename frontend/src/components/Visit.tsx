import { useId, useState } from "react";
import { failureFrom } from "../api/failures";
import { LONGEST_REASON, beginVisit, endVisit } from "../api/support";
import { useLanguage } from "../i18n/LanguageContext";
import { go } from "../router/navigation";
import { PageTitle } from "./PageTitle";

interface FormProps {
  subject: string;
  /** The reports can be read now. */
  onBegun: () => void;
  onEnded: () => void;
}

/** Asks why somebody else's reports are to be looked at, before any of them is shown. */
export function VisitForm({ subject, onBegun, onEnded }: FormProps) {
  const { t } = useLanguage();
  const id = useId();
  const [reason, setReason] = useState("");
  const [wrong, setWrong] = useState<"short" | "failed" | null>(null);
  const begin = async () => {
    if (reason.trim() === "") {
      setWrong("short");
      return;
    }
    try {
      await beginVisit(subject, reason.trim(), new AbortController().signal);
      onBegun();
    } catch (error) {
      const failure = failureFrom(error);
      if (failure.kind === "session-ended") onEnded();
      else setWrong(failure.kind === "refused" && failure.status === 422 ? "short" : "failed");
    }
  };
  return (
    <section className="section" data-testid="visit">
      <PageTitle title={t("support.visit")} />
      <p id={`${id}-text`}>{t("support.reasonText")}</p>
      <form
        className="period"
        onSubmit={(event) => {
          event.preventDefault();
          void begin();
        }}
      >
        <span className="field">
          <label htmlFor={id}>{t("support.reason")}</label>
          <input
            id={id}
            value={reason}
            maxLength={LONGEST_REASON}
            autoComplete="off"
            aria-describedby={`${id}-text`}
            data-testid="reason"
            onChange={(event) => {
              setReason(event.target.value);
            }}
          />
        </span>
        <button type="submit" className="button" data-testid="begin-visit">
          {t("support.open")}
        </button>
        <p role="alert" className="form-error">
          {wrong === "short" && t("support.noReason")}
          {wrong === "failed" && t("state.failedText")}
        </p>
      </form>
    </section>
  );
}

/** In sight on every page of somebody else's reports. */
export function ViewingBar({ subject, name }: { subject: string; name: string }) {
  const { t } = useLanguage();
  const leave = () => {
    // Left without a network, the visit ends by itself a little later.
    endVisit(subject, new AbortController().signal).catch(() => undefined);
    go({ subject: null, route: { page: "support" } });
  };
  return (
    <div className="viewing" data-testid="viewing" role="note">
      <p>{t("support.viewing", { name })}</p>
      <button type="button" className="link" data-testid="leave" onClick={leave}>
        {t("support.leave")}
      </button>
    </div>
  );
}

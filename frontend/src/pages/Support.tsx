import { type ReactNode, useId, useState } from "react";
import type { Failure } from "../api/failures";
import { failureFrom } from "../api/failures";
import { type FoundWearer, type Wearers, findWearers } from "../api/support";
import { useAnnounce } from "../components/Announcer";
import { PageTitle } from "../components/PageTitle";
import { Empty, Failed, Skeleton } from "../components/states";
import { useLanguage } from "../i18n/LanguageContext";
import { Link } from "../router/Link";

type Search =
  | { step: "none" | "short" | "busy" }
  | { step: "found"; wearers: Wearers }
  | { step: "failed"; failure: Failure };

/** Somebody of the support desk has no prosthesis: they look for the person who called. */
export default function Support({ onEnded }: { onEnded: () => void }) {
  const { t } = useLanguage();
  const announce = useAnnounce();
  const id = useId();
  const [text, setText] = useState("");
  const [search, setSearch] = useState<Search>({ step: "none" });
  const run = async () => {
    const wanted = text.trim();
    if (wanted === "") {
      setSearch({ step: "short" });
      return;
    }
    setSearch({ step: "busy" });
    try {
      const wearers = await findWearers(wanted, new AbortController().signal);
      setSearch({ step: "found", wearers });
      announce(t("support.count", { count: wearers.items.length }));
    } catch (error) {
      const failure = failureFrom(error);
      if (failure.kind === "session-ended") onEnded();
      else setSearch(unfound(failure));
    }
  };
  return (
    <section className="section" data-testid="support">
      <PageTitle title={t("support.title")} />
      <p>{t("support.text")}</p>
      <form
        className="period"
        role="search"
        onSubmit={(event) => {
          event.preventDefault();
          void run();
        }}
      >
        <span className="field">
          <label htmlFor={id}>{t("support.query")}</label>
          <input
            id={id}
            type="search"
            value={text}
            maxLength={64}
            autoComplete="off"
            data-testid="search-text"
            onChange={(event) => {
              setText(event.target.value);
            }}
          />
        </span>
        <button type="submit" className="button" data-testid="search">
          {t("support.search")}
        </button>
        <p role="alert" className="form-error">
          {search.step === "short" && t("support.tooShort")}
        </p>
      </form>
      <Outcome search={search} onRetry={() => void run()} />
    </section>
  );
}

/** What a search without an answer shows. Whether a text is too short goes by its script, and the service says it. */
function unfound(failure: Failure): Search {
  const short = failure.kind === "refused" && failure.status === 422;
  return short ? { step: "short" } : { step: "failed", failure };
}

function Outcome({ search, onRetry }: { search: Search; onRetry: () => void }): ReactNode {
  const { t } = useLanguage();
  if (search.step === "busy") return <Skeleton lines={2} />;
  if (search.step === "failed") return <Failed failure={search.failure} onRetry={onRetry} />;
  if (search.step !== "found") return null;
  const { items, more } = search.wearers;
  if (items.length === 0)
    return <Empty title={t("support.none")} text={t("support.noneText")} testId="nobody" />;
  return (
    <>
      <h2>{t("support.found")}</h2>
      <ul className="plain-list">
        {items.map((wearer) => (
          <Found key={wearer.user_id} wearer={wearer} />
        ))}
      </ul>
      {more && <p className="hint">{t("support.bounded")}</p>}
    </>
  );
}

function Found({ wearer }: { wearer: FoundWearer }) {
  const devices = wearer.prostheses.map(({ model, serial_number }) => `${model} ${serial_number}`.trim());
  return (
    <li className="card" data-testid="found-wearer">
      <Link to={{ page: "today", prosthesis: null }} subject={wearer.user_id}>
        {wearer.name}
      </Link>
      <p className="hint">{[...devices, ...wearer.contract_numbers].join(" · ")}</p>
    </li>
  );
}

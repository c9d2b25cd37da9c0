import { type ReactNode, useState } from "react";
import type { Language } from "../domain/format";
import { useLanguage } from "../i18n/LanguageContext";
import { LANGUAGES } from "../i18n/translate";
import { Logo } from "./Logo";

/** The brand, and what belongs beside it on the page at hand; inside a `<header>`. */
export function HeaderBar({ children }: { children: ReactNode }) {
  return (
    <div className="header">
      <div className="header-inner">
        <p className="brand">
          <Logo />
          <span>BionicPRO</span>
        </p>
        {children}
      </div>
    </div>
  );
}

interface AccountProps {
  name: string | null;
  onLogOut: () => Promise<void>;
}

export function Account({ name, onLogOut }: AccountProps) {
  const { t } = useLanguage();
  return (
    <div className="account" role="group" aria-label={t("session.account")}>
      {name !== null && <span className="account-name">{name}</span>}
      <LogOutButton onLogOut={onLogOut} testId="logout" />
    </div>
  );
}

export function LogOutButton({ onLogOut, testId }: { onLogOut: () => Promise<void>; testId: string }) {
  const { t } = useLanguage();
  const [busy, setBusy] = useState(false);
  const leave = () => {
    if (busy) return;
    setBusy(true);
    void onLogOut().finally(() => {
      setBusy(false);
    });
  };
  return (
    <button type="button" className="button quiet" data-testid={testId} aria-disabled={busy} onClick={leave}>
      {t("session.logOut")}
    </button>
  );
}

const NAMES: Record<Language, { short: string; long: string }> = {
  en: { short: "EN", long: "English" },
  ru: { short: "RU", long: "Русский" },
};

export function LanguageSwitch({ names = "short" }: { names?: "short" | "long" }) {
  const { language, t, choose } = useLanguage();
  return (
    <div className={`switch switch-${names}`} role="group" aria-label={t("app.language")}>
      {LANGUAGES.map((option) => (
        <button
          key={option}
          type="button"
          lang={option}
          aria-pressed={option === language}
          data-testid={`language-${option}`}
          onClick={() => {
            choose(option);
          }}
        >
          {NAMES[option][names]}
          {names === "short" && <span className="visually-hidden"> {NAMES[option].long}</span>}
        </button>
      ))}
    </div>
  );
}

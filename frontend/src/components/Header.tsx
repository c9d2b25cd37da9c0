import { useState } from "react";
import type { Language } from "../domain/format";
import { useLanguage } from "../i18n/LanguageContext";
import { LANGUAGES } from "../i18n/translate";
import { Logo } from "./Logo";

interface HeaderProps {
  name: string | null;
  /** Null where nobody is logged in. */
  onLogOut: (() => Promise<void>) | null;
}

export function Header({ name, onLogOut }: HeaderProps) {
  const { t } = useLanguage();
  return (
    <header className="header">
      <div className="header-inner">
        <p className="brand">
          <Logo />
          <span>BionicPRO</span>
        </p>
        <LanguageSwitch />
        {onLogOut !== null && (
          <div className="account" role="group" aria-label={t("session.account")}>
            {name !== null && <span className="account-name">{name}</span>}
            <LogOutButton onLogOut={onLogOut} />
          </div>
        )}
      </div>
    </header>
  );
}

function LogOutButton({ onLogOut }: { onLogOut: () => Promise<void> }) {
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
    <button type="button" className="button quiet" data-testid="logout" aria-disabled={busy} onClick={leave}>
      {t("session.logOut")}
    </button>
  );
}

const NAMES: Record<Language, { short: string; long: string }> = {
  en: { short: "EN", long: "English" },
  ru: { short: "RU", long: "Русский" },
};

function LanguageSwitch() {
  const { language, t, choose } = useLanguage();
  return (
    <div className="switch" role="group" aria-label={t("app.language")}>
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
          {NAMES[option].short}
          <span className="visually-hidden"> {NAMES[option].long}</span>
        </button>
      ))}
    </div>
  );
}

import { type ReactNode, createContext, use, useEffect, useMemo, useState } from "react";
import { type Clock, type Language, type Locale, localeOf } from "../domain/format";
import { keep, recall } from "./remembered";
import { type Translate, chooseLanguage, translatorFor } from "./translate";

interface LanguageValue {
  language: Language;
  locale: Locale;
  clock: Clock;
  t: Translate;
  choose: (language: Language) => void;
  chooseClock: (clock: Clock) => void;
}

const LanguageContext = createContext<LanguageValue | null>(null);

function recalledClock(): Clock {
  const known = recall("clock");
  return known === "12" || known === "24" ? known : "auto";
}

export function LanguageProvider({ children }: { children: ReactNode }) {
  const [language, setLanguage] = useState(() => chooseLanguage(recall("language"), navigator.languages));
  const [clock, setClock] = useState(recalledClock);
  const value = useMemo(() => {
    const choose = (next: Language) => {
      keep("language", next);
      setLanguage(next);
    };
    const chooseClock = (next: Clock) => {
      keep("clock", next);
      setClock(next);
    };
    const locale = localeOf(language, navigator.languages, clock);
    return { language, locale, clock, t: translatorFor(language), choose, chooseClock };
  }, [language, clock]);
  useEffect(() => {
    document.documentElement.lang = language;
  }, [language]);
  return <LanguageContext value={value}>{children}</LanguageContext>;
}

export function useLanguage(): LanguageValue {
  const value = use(LanguageContext);
  if (value === null) throw new Error("useLanguage needs a LanguageProvider above it");
  return value;
}

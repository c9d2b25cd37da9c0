import { type ReactNode, createContext, use, useEffect, useMemo, useState } from "react";
import type { Language } from "../domain/format";
import { type Translate, chooseLanguage, translatorFor } from "./translate";

interface LanguageValue {
  language: Language;
  t: Translate;
  choose: (language: Language) => void;
}

const LanguageContext = createContext<LanguageValue | null>(null);
const STORAGE_KEY = "bionicpro.language";

export function LanguageProvider({ children }: { children: ReactNode }) {
  const [language, setLanguage] = useState(() => chooseLanguage(recall(), navigator.languages));
  const value = useMemo(() => {
    const choose = (next: Language) => {
      remember(next);
      setLanguage(next);
    };
    return { language, t: translatorFor(language), choose };
  }, [language]);
  useEffect(() => {
    document.documentElement.lang = language;
    document.title = value.t("app.name");
  }, [language, value]);
  return <LanguageContext value={value}>{children}</LanguageContext>;
}

export function useLanguage(): LanguageValue {
  const value = use(LanguageContext);
  if (value === null) throw new Error("useLanguage needs a LanguageProvider above it");
  return value;
}

// A browser may refuse storage (private mode, policy); the page then follows the browser's language.
function recall(): string | null {
  try {
    return localStorage.getItem(STORAGE_KEY);
  } catch {
    return null;
  }
}

function remember(language: Language): void {
  try {
    localStorage.setItem(STORAGE_KEY, language);
  } catch {
    return;
  }
}

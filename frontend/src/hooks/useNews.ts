import { useEffect, useRef } from "react";
import type { Today } from "../api/contract";
import { useAnnounce } from "../components/Announcer";
import { type Attention, newsOf } from "../domain/attention";
import { useLanguage } from "../i18n/LanguageContext";
import type { MessageKey } from "../i18n/en";
import { notify } from "./notifications";

const TEXTS: Record<Attention["kind"], MessageKey> = {
  critical: "attention.new",
  battery: "attention.newBattery",
  silent: "attention.newSilent",
};

/** Reads out what newly needs attention; `own`: it is the reader's own, who may have asked for notifications. */
export function useNews(today: Today | null, own: boolean): void {
  const { t } = useLanguage();
  const announce = useAnnounce();
  const before = useRef<Today | null>(null);
  useEffect(() => {
    const last = before.current;
    before.current = today;
    if (today === null || last === null || last === today) return;
    const news = newsOf(last, today).map(({ kind, name }) => t(TEXTS[kind], { name }));
    if (news.length === 0) return;
    announce(news.join(". "));
    if (own) void notify(news.join(". "), t("attention.open"));
  }, [today, own, t, announce]);
}

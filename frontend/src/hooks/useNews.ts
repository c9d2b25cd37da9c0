import { useEffect, useRef } from "react";
import type { Today } from "../api/contract";
import { useAnnounce } from "../components/Announcer";
import { type Attention, SILENT_AFTER_MS, type Told, newsOf } from "../domain/attention";
import { HOUR_MS } from "../domain/comparison";
import { useLanguage } from "../i18n/LanguageContext";
import type { MessageKey } from "../i18n/en";
import { go } from "../router/navigation";
import { type Place, addressOf, placeOf } from "../router/routes";
import { notify, onNoticeOpened } from "./notifications";

/** Read out in the page, which is the reader's own. */
const TEXTS: Record<Attention["kind"], MessageKey> = {
  critical: "attention.new",
  battery: "attention.newBattery",
  silent: "attention.newSilent",
};
/** Shown by the browser, where others may see it: what kind of thing, and neither whose nor of what. */
const TITLES: Record<Attention["kind"], MessageKey> = {
  critical: "notice.critical",
  battery: "notice.battery",
  silent: "notice.silent",
};
const HOURS = SILENT_AFTER_MS / HOUR_MS;

/** Reads out what newly needs attention; `own`: it is the reader's own, who may have asked for notifications. */
export function useNews(today: Today | null, own: boolean): void {
  const { t, language } = useLanguage();
  const announce = useAnnounce();
  const told = useRef<Told | null>(null);
  useEffect(() => {
    if (today === null) return;
    const { told: next, news } = newsOf(told.current, today);
    told.current = next;
    if (news.length === 0) return;
    announce(news.map(({ kind, name }) => t(TEXTS[kind], { name })).join(". "));
    if (!own) return;
    for (const one of news) {
      void notify({
        title: t(TITLES[one.kind], { hours: HOURS }),
        body: t("notice.body"),
        lang: language,
        about: `${one.kind} ${one.prosthesis}`,
        state: `${today.report_date} ${one.value}`,
        address: addressOf(placeFor(one, today)),
      });
    }
  }, [today, own, t, language, announce]);
  useEffect(
    () =>
      onNoticeOpened((address) => {
        go(placeOf(address));
      }),
    [],
  );
}

/** Today says what happened and what to do; of several prostheses, the one that it is about. */
function placeFor({ prosthesis }: Attention, { items }: Today): Place {
  return { subject: null, route: { page: "today", prosthesis: items.length > 1 ? prosthesis : null } };
}

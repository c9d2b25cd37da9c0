import { useLanguage } from "../i18n/LanguageContext";
import type { MessageKey } from "../i18n/en";
import { Link } from "../router/Link";
import type { Place, Route } from "../router/routes";
import { Icon, type IconName } from "./Glyphs";

interface Item {
  name: IconName & Route["page"];
  label: MessageKey;
  to: Route;
  /** Pages that are reached from this one. */
  holds: Route["page"][];
}

const TODAY: Item = {
  name: "today",
  label: "nav.today",
  to: { page: "today", prosthesis: null },
  holds: ["today", "error"],
};
const HISTORY: Item = {
  name: "history",
  label: "nav.history",
  to: { page: "history", period: { days: 7 }, prosthesis: null },
  holds: ["history", "day"],
};
const EXPORT: Item = { name: "export", label: "nav.export", to: { page: "export" }, holds: ["export"] };
const MORE: Item = { name: "more", label: "nav.more", to: { page: "more" }, holds: ["more"] };
const SUPPORT: Item = { name: "support", label: "nav.support", to: { page: "support" }, holds: ["support"] };

/** The pages there are for somebody: a bar at the bottom of a phone, a rail at the side of a wide screen. */
export function Navigation({ place, wears, helps }: { place: Place; wears: boolean; helps: boolean }) {
  const { t } = useLanguage();
  const reports = wears || place.subject !== null;
  const items = [...(helps ? [SUPPORT] : []), ...(reports ? [TODAY, HISTORY, EXPORT] : []), MORE];
  return (
    <nav className="nav" aria-label={t("nav.label")}>
      <ul>
        {items.map((item) => (
          <li key={item.name}>
            <Link
              to={item.to}
              subject={item === MORE || item === SUPPORT ? null : place.subject}
              className="nav-link"
              current={item.holds.includes(place.route.page)}
              testId={`nav-${item.name}`}
            >
              <Icon name={item.name} />
              <span>{t(item.label)}</span>
            </Link>
          </li>
        ))}
      </ul>
    </nav>
  );
}

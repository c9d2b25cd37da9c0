import { useView } from "../app/view";
import { getProstheses } from "../api/client";
import type { Prosthesis } from "../api/contract";
import { formatMomentDate } from "../domain/format";
import { useLoaded } from "../hooks/useLoaded";
import { useLanguage } from "../i18n/LanguageContext";
import { Part } from "./states";

/** What the reader wears, and what they wore. */
export function Prostheses() {
  const { t } = useLanguage();
  const { subject, control, today } = useView();
  const loaded = useLoaded("prostheses", (_, signal) => getProstheses(subject, signal), control.markEnded);
  const zone = today?.timezone ?? "UTC";
  return (
    <section className="card prose" aria-labelledby="prostheses">
      <h2 id="prostheses">{t("more.prostheses")}</h2>
      <Part loaded={loaded} lines={1}>
        {(items) =>
          items.length === 0 ? (
            <p>{t("more.noProstheses")}</p>
          ) : (
            <ul className="plain-list">
              {items.map((item) => (
                <Line key={item.prosthesis_id} item={item} zone={zone} />
              ))}
            </ul>
          )
        }
      </Part>
    </section>
  );
}

function Line({ item, zone }: { item: Prosthesis; zone: string }) {
  const { t, locale } = useLanguage();
  const day = (at: number) => formatMomentDate(at, zone, locale);
  const { current, since, until } = item;
  const span =
    since !== null && until !== null
      ? t("more.span", { from: day(since), to: day(until) })
      : since === null
        ? ""
        : t("more.since", { from: day(since) });
  const details = [
    item.serial_number === "" ? "" : t("today.serial", { serial: item.serial_number }),
    current ? t("more.now") : t("more.earlier"),
    span,
  ];
  return (
    <li data-testid="prosthesis">
      <b>{item.model || t("today.prosthesis", { id: item.prosthesis_id })}</b>
      <br />
      {details.filter((part) => part !== "").join(" · ")}
    </li>
  );
}

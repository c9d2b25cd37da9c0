import { useView } from "../app/view";
import type { Contact } from "../api/contract";
import { useLanguage } from "../i18n/LanguageContext";
import { Part } from "./states";

/** Whom to call or write to, as the company has set it; where it has not, that is said. */
export function Help() {
  const { t } = useLanguage();
  const { errorTexts } = useView();
  return (
    <Part loaded={errorTexts} lines={1}>
      {({ contact }) =>
        contact === null ? <p data-testid="no-contact">{t("help.none")}</p> : <Lines contact={contact} />
      }
    </Part>
  );
}

function Lines({ contact: { who, phone, mail, hours } }: { contact: Contact }) {
  const { t } = useLanguage();
  return (
    <address className="contact" data-testid="contact">
      <b>{who}</b>
      {phone !== null && (
        <span>
          {t("help.phone")} <a href={`tel:${phone.replace(/[^+\d]/g, "")}`}>{phone}</a>
        </span>
      )}
      {mail !== null && (
        <span>
          {t("help.mail")} <a href={`mailto:${mail}`}>{mail}</a>
        </span>
      )}
      {hours !== null && <span>{hours}</span>}
    </address>
  );
}

import type { DailyReport } from "../api/contract";
import { type Attention, attentionOf } from "../domain/attention";
import { formatInteger, formatPercent, formatTime } from "../domain/format";
import { useLanguage } from "../i18n/LanguageContext";

interface Props {
  reports: readonly DailyReport[];
  asOf: number | null;
}

/** What should not have to be looked for, each with what to do. Nothing where all is well. */
export function NeedsAttention({ reports, asOf }: Props) {
  const { t } = useLanguage();
  const found = attentionOf(reports, asOf);
  if (found.length === 0) return null;
  const zone = reports[0]?.timezone ?? "UTC";
  return (
    <section className="attention" aria-labelledby="attention-title" data-testid="attention">
      <h2 id="attention-title">{t("attention.title")}</h2>
      <ul>
        {found.map((one) => (
          <Line key={`${one.kind}-${one.prosthesis}`} one={one} zone={zone} />
        ))}
      </ul>
    </section>
  );
}

function Line({ one, zone }: { one: Attention; zone: string }) {
  const { t, locale } = useLanguage();
  const { kind, name, value } = one;
  const text = {
    critical: () =>
      value === 1
        ? t("attention.criticalOne", { name })
        : t("attention.critical", { name, count: formatInteger(value, locale) }),
    battery: () => t("attention.battery", { name, percent: formatPercent(value, locale) }),
    silent: () => t("attention.silent", { name, time: formatTime(value, zone, locale) }),
  }[kind]();
  return (
    <li data-testid="attention-line" data-kind={kind}>
      <b>{text}</b> {t(`attention.${kind}Do`)}
    </li>
  );
}

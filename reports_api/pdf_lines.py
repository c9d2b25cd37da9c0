"""The printed page's figures as text: pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from reports_api.error_texts import Catalogue
from reports_api.languages import Language
from reports_api.locales import LOCALES, Locale
from reports_api.pdf_texts import TEXTS
from reports_api.schemas import BatteryTotals, Period, Summary
from schemas.mart import MartRow

MAX_ERROR_LINES = 10
MAX_PROSTHESES = 3
NOTHING = "–"
Line = tuple[str, str, str, str]
"""Label, this period, the one before, change."""


class Wording(NamedTuple):
    """How one page says things: its texts, its numbers, and what error codes are called."""

    texts: Mapping[str, str]
    locale: Locale
    catalogue: Catalogue

    @classmethod
    def of(cls, language: Language, catalogue: Catalogue) -> Wording:
        return cls(TEXTS[language], LOCALES[language], catalogue)


def identity(rows: Sequence[MartRow], body: Summary, say: Wording) -> list[tuple[str, str]]:
    """Labels and values above the table: who, all contracts, which prostheses, which periods. The name is that of the newest row."""
    texts, day = say.texts, say.locale.day
    newest = rows[0] if rows else None
    lines = [(texts["patient"], newest.customer_name or NOTHING)] if newest else []
    contracts = list(dict.fromkeys(row.contract_number for row in rows if row.contract_number))
    if newest:
        lines.append((texts["contract"] if len(contracts) < 2 else texts["contracts"], ", ".join(contracts) or NOTHING))
    devices: dict[str, str] = {}
    for row in rows:
        devices.setdefault(row.prosthesis_id, f"{row.prosthesis_model}, {row.prosthesis_serial_number} ({row.prosthesis_id})")
    shown = list(devices.values())[:MAX_PROSTHESES]
    lines += [(texts["prosthesis"] if i == 0 else "", text) for i, text in enumerate(shown)]
    if len(devices) > len(shown):
        lines.append(("", texts["more"].format(count=len(devices) - len(shown))))
    lines.append((texts["period"], f"{day(body.current.from_)} – {day(body.current.to)}"))
    lines.append((texts["previous"], f"{day(body.previous.from_)} – {day(body.previous.to)}"))
    return lines + ([(texts["timezone"], newest.timezone)] if newest else [])


def figures(body: Summary, say: Wording, names: Mapping[str, str]) -> list[Line]:
    """The lines of the table. *names*: what each prosthesis is called on the page, by its id; those without a name are left out."""
    current, previous, change, texts = body.current, body.previous, body.change, say.texts
    return [
        (texts["days_with_data"], _days(current, say), _days(previous, say), ""),
        (
            texts["usage_per_day"],
            _duration(current.usage.mean_ms_per_day, say),
            _duration(previous.usage.mean_ms_per_day, say),
            signed_percent(change.usage_per_day_ratio, say),
        ),
        (texts["usage_total"], _duration(current.usage.total_ms, say), _duration(previous.usage.total_ms, say), ""),
        (texts["efficiency"], _share(current, say), _share(previous, say), _points(change.efficiency_difference, say)),
        (texts["signals"], say.locale.number(current.signals.count), say.locale.number(previous.signals.count), ""),
        (texts["amplitude"], _amplitude(current, say), _amplitude(previous, say), ""),
        *_batteries(body, say, names),
        (texts["errors"], _errors(current, say), _errors(previous, say), ""),
        (
            texts["errors_per_day"],
            _rate(current.errors_per_day, say),
            _rate(previous.errors_per_day, say),
            _rate(change.errors_per_day_difference, say, signed=True),
        ),
    ]


def error_lines(body: Summary, say: Wording) -> list[str]:
    """How often, what it is called, and the code, of the most frequent errors; and how many codes are left out."""
    by_code = sorted(body.current.errors.by_code.items(), key=lambda item: (-item[1], item[0]))
    if not by_code:
        return [say.texts["none"]]
    shown = by_code if len(by_code) <= MAX_ERROR_LINES else by_code[: MAX_ERROR_LINES - 1]
    lines = [f"{say.locale.number(count)} × {_called(code, say)}" for code, count in shown]
    return lines + ([say.texts["more"].format(count=len(by_code) - len(shown))] if len(by_code) > len(shown) else [])


def foot(rows: Sequence[MartRow], body: Summary, printed: str, say: Wording) -> list[str]:
    """The lines at the foot; *printed*: when."""
    zone = rows[0].timezone if rows else "UTC"
    as_of = say.locale.moment(body.as_of, zone) if body.as_of else NOTHING
    first = say.texts["as_of"].format(time=as_of, now=printed, zone=zone)
    notes = [say.texts[key] for key in ("note_usage", "note_means", "note_drain", "disclaimer")]
    return [first if body.current.complete else f"{first} {say.texts['incomplete']}", *notes]


def signed_percent(ratio: float | None, say: Wording) -> str:
    """A relative change in percent."""
    return NOTHING if ratio is None else say.locale.percent(ratio * 100, 1, signed=True)


def _called(code: str, say: Wording) -> str:
    title = say.catalogue.title(code, say.locale.language)
    return title if code in title else f"{title} ({code})"


def _days(side: Period, say: Wording) -> str:
    return say.texts["days_of"].format(days=side.days_with_data, length=(side.to - side.from_).days + 1, complete=side.complete_days)


def _duration(ms: float | None, say: Wording) -> str:
    if ms is None:
        return NOTHING
    hours, minutes = divmod(round(ms / 60_000), 60)
    return say.texts["hours"].format(hours=hours, minutes=minutes)


def _share(side: Period, say: Wording) -> str:
    return NOTHING if side.signals.efficiency is None else say.locale.percent(side.signals.efficiency * 100, 1)


def _points(difference: float | None, say: Wording) -> str:
    return NOTHING if difference is None else say.texts["points"].format(value=say.locale.number(difference * 100, 1, signed=True))


def _amplitude(side: Period, say: Wording) -> str:
    of, number = side.signals.amplitude_uv, say.locale.number
    return NOTHING if of is None else f"{number(of.mean)} ({number(of.min)}–{number(of.max)}) {say.texts['uv']}"


def _batteries(body: Summary, say: Wording, names: Mapping[str, str]) -> list[Line]:
    """A line a prosthesis: its drain a day, and between what its battery moved. Never one line for two batteries."""
    now, before = body.current.battery_by_prosthesis, body.previous.battery_by_prosthesis
    found = [prosthesis_id for prosthesis_id in names if prosthesis_id in now or prosthesis_id in before]
    ratios = body.change.drain_per_day_ratio_by_prosthesis
    return [
        (
            say.texts["battery"] if len(found) == 1 else say.texts["battery_of"].format(name=names[prosthesis_id]),
            _battery(now.get(prosthesis_id), say),
            _battery(before.get(prosthesis_id), say),
            signed_percent(ratios.get(prosthesis_id), say),
        )
        for prosthesis_id in found
    ]


def _battery(totals: BatteryTotals | None, say: Wording) -> str:
    if totals is None:
        return NOTHING
    percent, mean = say.locale.percent, totals.mean_drain_percent_per_day
    return f"{NOTHING if mean is None else percent(mean, 1)} ({say.locale.number(totals.min_percent)}–{percent(totals.max_percent)})"


def _errors(side: Period, say: Wording) -> str:
    return f"{say.locale.number(side.errors.count)} ({say.locale.number(side.errors.critical_count)})" if side.days_with_data else NOTHING


def _rate(value: float | None, say: Wording, *, signed: bool = False) -> str:
    return NOTHING if value is None else say.locale.number(value, 1, signed=signed)

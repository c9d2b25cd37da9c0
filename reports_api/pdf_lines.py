"""The printed page's figures as text: pure."""

from __future__ import annotations

from collections.abc import Mapping

from reports_api.schemas import BatteryTotals, Period, Summary

MAX_ERROR_LINES = 15
NOTHING = "–"
Line = tuple[str, str, str, str]
"""Label, this period, the one before, change."""


def figures(body: Summary, texts: dict[str, str], names: Mapping[str, str]) -> list[Line]:
    """The lines of the table. *names*: what each prosthesis is called on the page, by its id; those without a name are left out."""
    current, previous, change = body.current, body.previous, body.change
    return [
        (texts["days_with_data"], _days(current, texts), _days(previous, texts), ""),
        (
            texts["usage_per_day"],
            _duration(current.usage.mean_ms_per_day, texts),
            _duration(previous.usage.mean_ms_per_day, texts),
            signed_percent(change.usage_per_day_ratio),
        ),
        (texts["usage_total"], _duration(current.usage.total_ms, texts), _duration(previous.usage.total_ms, texts), ""),
        (texts["efficiency"], _share(current), _share(previous), _points(change.efficiency_difference, texts)),
        (texts["signals"], f"{current.signals.count}", f"{previous.signals.count}", ""),
        (texts["amplitude"], _amplitude(current, texts), _amplitude(previous, texts), ""),
        *_batteries(body, texts, names),
        (texts["errors"], _errors(current), _errors(previous), _difference(change.errors_per_day_difference)),
    ]


def error_lines(body: Summary, texts: dict[str, str]) -> list[str]:
    """``code: count`` of the most frequent errors, and how many codes are left out."""
    by_code = sorted(body.current.errors.by_code.items(), key=lambda item: (-item[1], item[0]))
    if not by_code:
        return [texts["none"]]
    if len(by_code) <= MAX_ERROR_LINES:
        return [f"{code}: {count}" for code, count in by_code]
    shown = [f"{code}: {count}" for code, count in by_code[: MAX_ERROR_LINES - 1]]
    return [*shown, texts["more"].format(count=len(by_code) - len(shown))]


def signed_percent(ratio: float | None) -> str:
    """A relative change in percent."""
    return NOTHING if ratio is None else f"{ratio * 100:+.1f} %"


def _days(side: Period, texts: dict[str, str]) -> str:
    return texts["days_of"].format(days=side.days_with_data, length=(side.to - side.from_).days + 1)


def _duration(ms: float | None, texts: dict[str, str]) -> str:
    if ms is None:
        return NOTHING
    hours, minutes = divmod(round(ms / 60_000), 60)
    return texts["hours"].format(hours=hours, minutes=minutes)


def _share(side: Period) -> str:
    return NOTHING if side.signals.efficiency is None else f"{side.signals.efficiency * 100:.1f} %"


def _points(difference: float | None, texts: dict[str, str]) -> str:
    return NOTHING if difference is None else texts["points"].format(value=difference * 100)


def _amplitude(side: Period, texts: dict[str, str]) -> str:
    amplitude = side.signals.amplitude_uv
    return NOTHING if amplitude is None else f"{amplitude.mean:.0f} ({amplitude.min}–{amplitude.max}) {texts['uv']}"


def _batteries(body: Summary, texts: dict[str, str], names: Mapping[str, str]) -> list[Line]:
    """A line a prosthesis: its drain a day, and between what its battery moved. Never one line for two batteries."""
    now, before = body.current.battery_by_prosthesis, body.previous.battery_by_prosthesis
    found = [prosthesis_id for prosthesis_id in names if prosthesis_id in now or prosthesis_id in before]
    ratios = body.change.drain_per_day_ratio_by_prosthesis
    return [
        (
            texts["battery"] if len(found) == 1 else texts["battery_of"].format(name=names[prosthesis_id]),
            _battery(now.get(prosthesis_id)),
            _battery(before.get(prosthesis_id)),
            signed_percent(ratios.get(prosthesis_id)),
        )
        for prosthesis_id in found
    ]


def _battery(totals: BatteryTotals | None) -> str:
    if totals is None:
        return NOTHING
    mean = NOTHING if totals.mean_drain_percent_per_day is None else f"{totals.mean_drain_percent_per_day:.1f} %"
    return f"{mean} ({totals.min_percent:g}–{totals.max_percent:g} %)"


def _errors(side: Period) -> str:
    return f"{side.errors.count} ({side.errors.critical_count})" if side.days_with_data else NOTHING


def _difference(value: float | None) -> str:
    return NOTHING if value is None else f"{value:+.1f}"

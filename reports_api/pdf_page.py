"""The printed page as data, from top to bottom: pure. How it is laid out stands in ``summary.typ``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta

import msgspec

from reports_api.pdf_lines import MAX_PROSTHESES, Line, Wording, error_lines, figures, foot, identity
from reports_api.schemas import Summary
from schemas.mart import MartRow

HOUR_MS = 3_600_000


class Chart(msgspec.Struct, frozen=True):
    """*bars*: a share of the height each, by day. *scale*: labels from the foot up. *alt*: what a reader who does not see it is told."""

    bars: list[float]
    scale: list[str]
    first: str
    last: str
    alt: str


class PdfPage(msgspec.Struct, frozen=True):
    """Each text is shown as it is and never read as markup."""

    language: str
    title: str
    identity: list[tuple[str, list[str]]]
    columns: tuple[str, str, str, str]
    figures: list[Line]
    chart_title: str
    no_data: str
    chart: Chart | None
    error_title: str
    errors: list[str]
    notes: list[str]


def pdf_page(rows: Sequence[MartRow], body: Summary, now: datetime, say: Wording) -> PdfPage:
    """*rows*: the mart's of both periods of *body*, newest day first."""
    texts = say.texts
    return PdfPage(
        language=say.locale.language,
        title=texts["title"],
        identity=_grouped(identity(rows, body, say)),
        columns=(texts["column_metric"], texts["column_current"], texts["column_previous"], texts["column_change"]),
        figures=figures(body, say, _names(rows)),
        chart_title=texts["chart"],
        no_data=texts["no_data"],
        chart=_chart(rows, body, say) if body.current.days_with_data else None,
        error_title=texts["error_table"],
        errors=error_lines(body, say),
        notes=foot(rows, body, say.locale.moment(now, rows[0].timezone if rows else "UTC"), say),
    )


def _grouped(lines: Sequence[tuple[str, str]]) -> list[tuple[str, list[str]]]:
    """A line without a label goes with the one above."""
    grouped: list[tuple[str, list[str]]] = []
    for label, value in lines:
        if label or not grouped:
            grouped.append((label, [value]))
        else:
            grouped[-1][1].append(value)
    return grouped


def _chart(rows: Sequence[MartRow], body: Summary, say: Wording) -> Chart:
    first, last = body.current.from_, body.current.to
    by_day: defaultdict[date, int] = defaultdict(int)
    for row in rows:
        if row.report_date >= first:
            by_day[row.report_date] += row.usage_ms
    top_hours = max(1, -(-max(by_day.values()) // HOUR_MS))
    return Chart(
        bars=[by_day.get(first + timedelta(days=i), 0) / (top_hours * HOUR_MS) for i in range((last - first).days + 1)],
        scale=[say.locale.number(top_hours * share, int(top_hours * share % 1 > 0)) for share in (0, 0.5, 1)],
        first=say.locale.day(first),
        last=say.locale.day(last),
        alt=_chart_in_words(by_day, body, say),
    )


def _chart_in_words(by_day: Mapping[date, int], body: Summary, say: Wording) -> str:
    first, last, day = body.current.from_, body.current.to, say.locale.day
    least, most = (choose(by_day, key=lambda of: (by_day[of], of)) for choose in (min, max))
    hours = {of: say.locale.number(by_day[of] / HOUR_MS, 1) for of in (least, most)}
    return say.texts["chart_alt"].format(
        first=day(first),
        last=day(last),
        most=hours[most],
        most_day=day(most),
        least=hours[least],
        least_day=day(least),
        without=(last - first).days + 1 - len(by_day),
    )


def _names(rows: Sequence[MartRow]) -> dict[str, str]:
    """The serial number, else the id, of as many prostheses as the page names."""
    names: dict[str, str] = {}
    for row in rows:
        names.setdefault(row.prosthesis_id, row.prosthesis_serial_number or row.prosthesis_id)
    return dict(list(names.items())[:MAX_PROSTHESES])

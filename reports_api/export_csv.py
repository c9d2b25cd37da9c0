"""Daily reports as CSV that a spreadsheet opens without running anything in it."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Literal, cast

from reports_api.domain import Watermarks, is_complete, percent
from schemas.mart import READ, MartRow

BYTE_ORDER_MARK = "\ufeff"
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def inert(text: str) -> str:
    """*text* in a form that no spreadsheet runs. Where *text* could begin a formula, after any blanks, an apostrophe stands before it."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) or text.lstrip().startswith(FORMULA_STARTS) else text


Decimal = Literal["point", "comma"]
Cell = str | int | float | None
EXPORTED = (
    "report_date", "timezone", "prosthesis_id", "prosthesis_model", "prosthesis_serial_number", "customer_name", "contract_number",
    "day_starts_at", "day_ends_at", "usage_ms", "signal_count", "recognised_count", "amplitude_uv_min", "amplitude_uv_max", "amplitude_uv_mean",
    "battery_first_bp", "battery_last_bp", "battery_min_bp", "battery_max_bp", "battery_drain_bp", "error_count", "critical_error_count",
    "errors_by_code", "event_count", "first_event_at", "last_event_at", "version",
)  # fmt: skip
"""What the file shows, in its order: columns of the catalogue (``schemas/mart.py``), and those derived."""
DERIVED: Mapping[str, Callable[[MartRow], Cell]] = {
    "amplitude_uv_mean": lambda row: round(row.amplitude_uv_sum / row.signal_count, 3) if row.signal_count else None,
}


def heading(name: str) -> str:
    """The name of the file's column: basis points are shown as percent."""
    return f"{name.removesuffix('_bp')}_percent" if name.endswith("_bp") else name


def _cell(row: MartRow, name: str) -> Cell:
    """The value as the file shows it; empty where the report has none, which the mart stores as zero."""
    if name in DERIVED:
        return DERIVED[name](row)
    column, value = READ[name], getattr(row, name)
    if column.only_with and not getattr(row, column.only_with):
        return None
    return percent(value) if column.unit == "bp" else _text(value)


def _text(value: object) -> Cell:
    if isinstance(value, date):  # a datetime is one too
        return value.isoformat()
    if isinstance(value, Mapping):
        return inert(" ".join(f"{code}:{count}" for code, count in sorted(value.items())))
    return inert(value) if isinstance(value, str) else cast(int, value)


def _number(cell: Cell, decimal: Decimal) -> Cell:
    return f"{cell}".replace(".", ",") if decimal == "comma" and isinstance(cell, float) else cell


def render(rows: Iterable[MartRow], watermarks: Watermarks, decimal: Decimal = "point") -> bytes:
    """The file: a header, then one line a row in the given order; times are ISO 8601 in UTC, units are in the column names.

    *decimal* is the reader's spreadsheet's: where that is a comma, cells are parted by semicolons, as it expects; otherwise all of a line lands in one cell.
    """
    out = io.StringIO()
    writer = csv.writer(out, delimiter=";" if decimal == "comma" else ",", quoting=csv.QUOTE_MINIMAL, lineterminator="\r\n")
    writer.writerow([*map(heading, EXPORTED), "complete", "as_of"])
    for row in rows:
        as_of = watermarks.get(row.log_partition)
        complete = "true" if is_complete(row.day_ends_at, as_of) else "false"
        writer.writerow([*(_number(_cell(row, name), decimal) for name in EXPORTED), complete, as_of.isoformat() if as_of else ""])
    return (BYTE_ORDER_MARK + out.getvalue()).encode()

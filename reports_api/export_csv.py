"""Daily reports as CSV that a spreadsheet opens without running anything in it."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Literal

from reports_api.domain import MartRow, Watermarks, is_complete, percent

BYTE_ORDER_MARK = "\ufeff"
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def inert(text: str) -> str:
    """*text* in a form that no spreadsheet runs. Where *text* could begin a formula, after any blanks, an apostrophe stands before it."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) or text.lstrip().startswith(FORMULA_STARTS) else text


def _errors(row: MartRow) -> str:
    return inert(" ".join(f"{code}:{count}" for code, count in sorted(row.errors_by_code.items())))


def _iso(time: datetime) -> str:
    return time.isoformat()


Decimal = Literal["point", "comma"]
Cell = str | int | float | None
COLUMNS: tuple[tuple[str, Callable[[MartRow], Cell]], ...] = (
    ("report_date", lambda r: r.report_date.isoformat()),
    ("timezone", lambda r: inert(r.timezone)),
    ("prosthesis_id", lambda r: inert(r.prosthesis_id)),
    ("prosthesis_model", lambda r: inert(r.prosthesis_model)),
    ("prosthesis_serial_number", lambda r: inert(r.prosthesis_serial_number)),
    ("customer_name", lambda r: inert(r.customer_name)),
    ("contract_number", lambda r: inert(r.contract_number)),
    ("day_starts_at", lambda r: _iso(r.day_starts_at)),
    ("day_ends_at", lambda r: _iso(r.day_ends_at)),
    ("usage_ms", lambda r: r.usage_ms),
    ("signal_count", lambda r: r.signal_count),
    ("recognised_count", lambda r: r.recognised_count),
    ("amplitude_uv_min", lambda r: r.amplitude_uv_min if r.signal_count else None),
    ("amplitude_uv_max", lambda r: r.amplitude_uv_max if r.signal_count else None),
    ("amplitude_uv_mean", lambda r: round(r.amplitude_uv_sum / r.signal_count, 3) if r.signal_count else None),
    ("battery_first_percent", lambda r: percent(r.battery_first_bp) if r.battery_count else None),
    ("battery_last_percent", lambda r: percent(r.battery_last_bp) if r.battery_count else None),
    ("battery_min_percent", lambda r: percent(r.battery_min_bp) if r.battery_count else None),
    ("battery_max_percent", lambda r: percent(r.battery_max_bp) if r.battery_count else None),
    ("battery_drain_percent", lambda r: percent(r.battery_drain_bp) if r.battery_count else None),
    ("error_count", lambda r: r.error_count),
    ("critical_error_count", lambda r: r.critical_error_count),
    ("errors_by_code", _errors),
    ("event_count", lambda r: r.event_count),
    ("first_event_at", lambda r: _iso(r.first_event_at)),
    ("last_event_at", lambda r: _iso(r.last_event_at)),
    ("version", lambda r: r.version),
)


def _number(cell: Cell, decimal: Decimal) -> Cell:
    return f"{cell}".replace(".", ",") if decimal == "comma" and isinstance(cell, float) else cell


def render(rows: Iterable[MartRow], watermarks: Watermarks, decimal: Decimal = "point") -> bytes:
    """The file: a header, then one line a row in the given order; times are ISO 8601 in UTC, units are in the column names.

    *decimal* is the reader's spreadsheet's: where that is a comma, cells are parted by semicolons, as it expects; otherwise all of a line lands in one cell.
    """
    out = io.StringIO()
    writer = csv.writer(out, delimiter=";" if decimal == "comma" else ",", quoting=csv.QUOTE_MINIMAL, lineterminator="\r\n")
    writer.writerow([*(name for name, _ in COLUMNS), "complete", "as_of"])
    for row in rows:
        as_of = watermarks.get(row.log_partition)
        complete = "true" if is_complete(row.day_ends_at, as_of) else "false"
        writer.writerow([*(_number(cell(row), decimal) for _, cell in COLUMNS), complete, _iso(as_of) if as_of else ""])
    return (BYTE_ORDER_MARK + out.getvalue()).encode()

"""The catalogue of a report's columns: the name, ClickHouse type and unit of each, in one place.

From it come the table's definition and the views (``clickhouse/migrator.py``), the row that the reports service reads, the list of fields that
``bionicpro verify`` compares, and the formatting of exports. Names and types are shared; formulas are not: the processor folds, the oracle has SQL of its own, and
``docs/metrics.md`` defines what both must come to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, NamedTuple, get_type_hints

KEY, ATTRIBUTE, NUMBER, POSITION = "key", "attribute", "number", "position"


class Column(NamedTuple):
    """*type*: ClickHouse's. *role*: KEY names the report; ATTRIBUTE comes from the CRM and the calendar; NUMBER from telemetry; POSITION from the log.

    *unit*: ms, µV, bp (hundredths of a percent), cell (tenths of a degree), or empty for counts, texts and times.
    *only_with*: the column without which this one has no value; it holds the zero of its type then.
    """

    type: str
    role: str = NUMBER
    unit: str = ""
    only_with: str = ""


class MartRow(NamedTuple):
    """A report as readers get it; the field names are the columns. Times are aware and in UTC."""

    user_id: Annotated[str, Column("String", KEY)]
    report_date: Annotated[date, Column("Date32", KEY)]
    prosthesis_id: Annotated[str, Column("String", KEY)]
    customer_name: Annotated[str, Column("String", ATTRIBUTE)]
    timezone: Annotated[str, Column("LowCardinality(String)", ATTRIBUTE)]
    contract_number: Annotated[str, Column("String", ATTRIBUTE)]
    prosthesis_model: Annotated[str, Column("LowCardinality(String)", ATTRIBUTE)]
    prosthesis_serial_number: Annotated[str, Column("String", ATTRIBUTE)]
    day_starts_at: Annotated[datetime, Column("DateTime('UTC')", ATTRIBUTE)]
    day_ends_at: Annotated[datetime, Column("DateTime('UTC')", ATTRIBUTE)]
    event_count: Annotated[int, Column("UInt64")]
    first_event_at: Annotated[datetime, Column("DateTime64(6, 'UTC')")]
    last_event_at: Annotated[datetime, Column("DateTime64(6, 'UTC')")]
    usage_ms: Annotated[int, Column("UInt64", unit="ms")]
    usage_ms_by_hour: Annotated[Sequence[int], Column("Array(UInt64)", unit="ms")]
    signal_count: Annotated[int, Column("UInt64")]
    recognised_count: Annotated[int, Column("UInt64")]
    amplitude_uv_sum: Annotated[int, Column("UInt64", unit="µV", only_with="signal_count")]
    amplitude_uv_min: Annotated[int, Column("UInt32", unit="µV", only_with="signal_count")]
    amplitude_uv_max: Annotated[int, Column("UInt32", unit="µV", only_with="signal_count")]
    amplitude_histogram: Annotated[Sequence[int], Column("Array(UInt64)")]
    battery_count: Annotated[int, Column("UInt64")]
    battery_min_bp: Annotated[int, Column("UInt16", unit="bp", only_with="battery_count")]
    battery_max_bp: Annotated[int, Column("UInt16", unit="bp", only_with="battery_count")]
    battery_first_bp: Annotated[int, Column("UInt16", unit="bp", only_with="battery_count")]
    battery_last_bp: Annotated[int, Column("UInt16", unit="bp", only_with="battery_count")]
    battery_drain_bp: Annotated[int, Column("UInt32", unit="bp", only_with="battery_count")]
    battery_first_bp_by_hour: Annotated[Sequence[int], Column("Array(Int16)", unit="bp")]
    battery_last_bp_by_hour: Annotated[Sequence[int], Column("Array(Int16)", unit="bp")]
    error_count: Annotated[int, Column("UInt64")]
    critical_error_count: Annotated[int, Column("UInt64")]
    errors_by_code: Annotated[Mapping[str, int], Column("Map(String, UInt32)")]
    location_lat_cell: Annotated[int | None, Column("Nullable(Int16)", unit="cell")]
    location_lon_cell: Annotated[int | None, Column("Nullable(Int16)", unit="cell")]
    log_partition: Annotated[int, Column("UInt16", POSITION)]
    version: Annotated[int, Column("UInt64", POSITION)]


class RowVersion(NamedTuple):
    """Enough of a report to see that it changed."""

    user_id: str
    report_date: date
    prosthesis_id: str
    timezone: str
    log_partition: int
    version: int


READ = {name: hint.__metadata__[0] for name, hint in get_type_hints(MartRow, include_extras=True).items()}
"""The columns that readers get, in the order of ``MartRow``."""
KEPT_BACK = {
    "customer_id": Column("String", ATTRIBUTE),
    "contract_id": Column("String", ATTRIBUTE),
    "is_deleted": Column("UInt8", POSITION),
}
"""Columns of the table that no reader needs: the CRM's own ids, and whether the row is a tombstone."""
_ROLES = (KEY, ATTRIBUTE, NUMBER, POSITION)
COLUMNS: Mapping[str, Column] = dict(sorted((READ | KEPT_BACK).items(), key=lambda item: _ROLES.index(item[1].role)))
"""All columns of the table."""
COMPARED = tuple(name for name, column in COLUMNS.items() if column.role in (ATTRIBUTE, NUMBER))
"""What ``verify`` compares: every column but the key and the place in the log."""


def exact(name: str) -> str:
    """An expression that reads the column as a whole number, a text, a list or a map; times in seconds or microseconds since 1970-01-01 UTC, as stored."""
    kind = COLUMNS[name].type
    if kind.startswith("DateTime64(6"):
        return f"toUnixTimestamp64Micro({name})"
    return f"toUnixTimestamp({name})" if kind.startswith("DateTime") else f"toInt32({name})" if kind == "Date32" else name


def definitions(columns: Mapping[str, str]) -> str:
    """The columns of a CREATE TABLE; *columns*: types by name."""
    return ",\n    ".join(f"{name} {kind}" for name, kind in columns.items())


def additions(columns: Mapping[str, str]) -> str:
    """The commands of an ALTER TABLE that add whichever of *columns* a table of an earlier version lacks. They change nothing where it has them all."""
    return ",\n    ".join(f"ADD COLUMN IF NOT EXISTS {name} {kind}" for name, kind in columns.items())

"""The mart can hold whatever is accepted: the columns of clickhouse/schema against the one description of ranges."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from clickhouse.migrator import statements
from schemas import ranges, zones
from schemas.raw_telemetry import RAW
from stream_processor.domain.calendar import MAX_HOURS, SECOND_US, day_number, local_day
from stream_processor.domain.facets.battery import LEVEL_MASK
from stream_processor.domain.facets.location import GEO_CELL_BITS, LAT_BITS, LAT_SHIFT, LON_BITS, LON_SHIFT

SCHEMA = Path(__file__).parents[2] / "clickhouse" / "schema" / "generation.sql"
METRICS = Path(__file__).parents[2] / "docs" / "metrics.md"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY_US = 86_400 * SECOND_US
# What a column of a type can hold, in the unit that ours has: seconds, microseconds, days, or the number itself.
HOLDS = {
    "DateTime('UTC')": (0, (1 << 32) - 1),
    "DateTime64(6, 'UTC')": tuple(day_number(datetime(year, 1, 1, tzinfo=UTC).date()) * DAY_US for year in (1900, 2299)),
    "DateTime64(3, 'UTC')": tuple(day_number(datetime(year, 1, 1, tzinfo=UTC).date()) * 86_400_000 for year in (1900, 2299)),
    "Date32": tuple(day_number(datetime(year, 1, 1, tzinfo=UTC).date()) for year in (1900, 2299)),
    "Nullable(Int16)": (-(1 << 15), (1 << 15) - 1),
    "Array(Int16)": (-(1 << 15), (1 << 15) - 1),
} | {f"{sign}Int{bits}": ((-(1 << bits - 1), (1 << bits - 1) - 1) if not sign else (0, (1 << bits) - 1)) for sign in ("", "U") for bits in (8, 16, 32, 64)}  # fmt: skip

MOST_EVENTS = 1 << 40  # of one report; far beyond what a day can bring
ACCEPTED = {
    "recorded_at": (ranges.EARLIEST_US, ranges.END_US),
    "first_event_at": (0, ranges.END_US),
    "last_event_at": (0, ranges.END_US),
    "day_starts_at": (day_number(ranges.FIRST_DAY) * 86_400, day_number(ranges.LAST_DAY) * 86_400),
    "day_ends_at": (day_number(ranges.FIRST_DAY) * 86_400, (day_number(ranges.LAST_DAY) + 2) * 86_400),
    "report_date": (day_number(ranges.FIRST_DAY), day_number(ranges.LAST_DAY)),
    "as_of": (0, ranges.END_US // 1000),
    "event_id_lo": (0, (1 << 64) - 1),
    "event_id_hi": (0, (1 << 64) - 1),
    "lsn": (0, ranges.MAX_INTEGER_ID + 1),  # a delete stands just above
    "amplitude_uv": (0, ranges.MAX_AMPLITUDE_UV),
    "active_ms": (0, ranges.MAX_ACTIVE_MS),
    "battery_bp": (0, ranges.MAX_BATTERY_BP),
    "lat_cell": (-ranges.MAX_LATITUDE * 10, ranges.MAX_LATITUDE * 10),
    "lon_cell": (-ranges.MAX_LONGITUDE * 10, ranges.MAX_LONGITUDE * 10),
    "location_lat_cell": (-ranges.MAX_LATITUDE * 10, ranges.MAX_LATITUDE * 10),
    "location_lon_cell": (-ranges.MAX_LONGITUDE * 10, ranges.MAX_LONGITUDE * 10),
    "next_offset": (0, 1 << 63),
    "crm_offset": (-1, ranges.MAX_INTEGER_ID),
    "usage_ms": (0, MOST_EVENTS * ranges.MAX_ACTIVE_MS),
    "amplitude_uv_sum": (0, MOST_EVENTS * ranges.MAX_AMPLITUDE_UV),
    "amplitude_uv_max": (0, ranges.MAX_AMPLITUDE_UV),
    "battery_drain_bp": (0, 2 * MAX_HOURS * ranges.MAX_BATTERY_BP),
    "battery_max_bp": (0, ranges.MAX_BATTERY_BP),
    "battery_first_bp_by_hour": (-1, ranges.MAX_BATTERY_BP),
    "battery_last_bp_by_hour": (-1, ranges.MAX_BATTERY_BP),
}


def columns() -> dict[str, str]:
    """The type of every column of a generation's tables; where two tables have one, both have the same."""
    found: dict[str, str] = {}
    created = "\n".join(statements(SCHEMA.read_text("utf-8"), {"generation_database": "g", "shared": "s", "definer": "d"}))
    for body in re.findall(r"CREATE TABLE [^(]*\n\((.*?)\n\)", created, re.DOTALL):
        for line in body.strip().splitlines():
            column = re.match(r"\s*([a-z]\w*)\s+([A-Z]\w*(?:\([^)]*\)+)?)", line)
            if column:
                found.setdefault(*column.groups())
    return found


@pytest.mark.parametrize("name", ACCEPTED)
def test_a_column_holds_whatever_is_accepted(name: str) -> None:
    least, most = HOLDS[columns()[name]]
    assert least <= ACCEPTED[name][0] <= ACCEPTED[name][1] <= most


def test_no_local_day_of_an_event_lies_outside_the_days_of_reports() -> None:
    days = {local_day(name, at).date for name in zones.names() for at in (ranges.EARLIEST_US, ranges.END_US - 1)}
    assert min(days) >= ranges.FIRST_DAY
    assert max(days) <= ranges.LAST_DAY


def test_the_columns_of_a_batch_and_the_packed_values_of_a_fold_hold_it_too() -> None:
    for name in ("amplitude_uv", "active_ms", "battery_bp", "lat_cell", "lon_cell"):
        assert np.iinfo(RAW[name].dtype).max >= ACCEPTED[name][1], name
    assert LEVEL_MASK >= ranges.MAX_BATTERY_BP
    assert ACCEPTED["lat_cell"][1] + LAT_SHIFT < 1 << LAT_BITS
    assert ACCEPTED["lon_cell"][1] + LON_SHIFT < 1 << LON_BITS
    assert MAX_HOURS * 3_600 * SECOND_US << GEO_CELL_BITS < 1 << 63


def test_the_page_of_metrics_says_the_same() -> None:
    page = METRICS.read_text("utf-8")
    for us in (ranges.EARLIEST_US, ranges.END_US):
        assert f"{EPOCH + timedelta(microseconds=us):%Y-%m-%d} UTC" in page
    for most in (ranges.MAX_AMPLITUDE_UV, ranges.MAX_ACTIVE_MS, ranges.MAX_BATTERY_BP):
        assert f"0 … {most:,}" in page

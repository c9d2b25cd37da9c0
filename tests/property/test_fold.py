"""The fold's flat table: whatever a batch holds, a report's numbers are its own."""

from __future__ import annotations

import ast
import struct
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import stream_processor
from schemas import ranges, zones
from schemas.raw_telemetry import TelemetryColumns
from stream_processor.domain.calendar import HOUR_US, MAX_HOURS, day_number, day_of_date, local_day
from stream_processor.domain.fold import FoldTable, OutsideDay

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LENGTHS = {21, 22, 23, 23.5, 24, 24.5, 25, 26, 27}
"""Hours of the days that the database has between 2000 and 2100; 0 is a day that a zone skipped."""
EXTREMES = {"facets": 15, "amplitude_uv": (1 << 32) - 1, "active_ms": (1 << 32) - 1, "battery_bp": (1 << 16) - 1, "recognised": 255,
            "error_severity": 255, "lat_cell": 32_767, "lon_cell": -32_768}  # fmt: skip


def changes(name: str) -> Iterator[datetime]:
    """When the clocks of a zone change, from the file itself; the rule that goes on for ever is spelled out for a few years."""
    data = resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).read_bytes()
    counts = struct.unpack(">6l", data[20:44])  # isutcnt, isstdcnt, leapcnt, timecnt, typecnt, charcnt of the 32-bit part
    second = 44 + counts[0] + counts[1] + counts[2] * 8 + counts[3] * 5 + counts[4] * 6 + counts[5]
    times = struct.unpack(">6l", data[second + 20 : second + 44])[3]
    for at in struct.unpack(f">{times}q", data[second + 44 : second + 44 + 8 * times]):
        if at * 1_000_000 >= ranges.EARLIEST_US:
            yield EPOCH + timedelta(seconds=at)


def days_of_change(name: str) -> set[date]:
    found = {change.date() + timedelta(days=shift) for change in changes(name) for shift in (-2, -1, 0, 1, 2)}
    return found | {date(2038, 1, 1) + timedelta(days=day) for day in range(3 * 365)} if data_goes_on(name) else found


def data_goes_on(name: str) -> bool:
    footer = resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).read_bytes().rstrip(b"\n").rpartition(b"\n")[2]
    return b"," in footer


def test_the_longest_day_of_the_pinned_database_has_as_many_hours_as_the_table() -> None:
    lengths: dict[float, tuple[str, date]] = {}
    for name in sorted(zones.names()):
        for day in days_of_change(name):
            found = day_of_date(name, day_number(day))
            lengths.setdefault((found.ends_us - found.starts_us) / HOUR_US, (name, day))
    assert set(lengths) - {0} == LENGTHS
    assert max(-(-length // 1) for length in lengths) == MAX_HOURS


@pytest.mark.parametrize(("name", "day", "hours"), [("Antarctica/Casey", "2018-03-11", 27), ("Antarctica/Davis", "2009-10-18", 26)])
def test_the_last_hour_of_a_long_day_is_its_own_reports(name: str, day: str, hours: int) -> None:
    long = day_of_date(name, day_number(date.fromisoformat(day)))
    assert long.hours == hours
    table = FoldTable(3)
    table.day_starts_us[:] = long.starts_us
    last = long.ends_us - 1
    assert local_day(name, last) == long
    table.fold(np.array([1]), events(1, last, active_ms=5))
    assert table.columns["usage_ms"][1, hours - 1] == 5
    assert untouched(table, [0, 2])


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, MAX_HOURS * HOUR_US - 1)), min_size=1, max_size=20))
def test_no_value_of_any_column_reaches_another_report(placed: list[tuple[int, int]]) -> None:
    table = FoldTable(11)
    table.day_starts_us[:] = ranges.EARLIEST_US
    slots = np.array([2 * slot + 1 for slot, _ in placed])
    batch = events(len(placed), ranges.EARLIEST_US, **EXTREMES)
    batch.recorded_us += np.array([since for _, since in placed])
    table.fold(slots, batch)
    assert untouched(table, [slot for slot in range(11) if slot not in set(slots.tolist())])


@pytest.mark.parametrize("outside", [-1, MAX_HOURS * HOUR_US])
def test_an_event_outside_its_day_is_refused_before_anything_is_folded(outside: int) -> None:
    table = FoldTable(3)
    table.day_starts_us[:] = ranges.EARLIEST_US
    batch = events(2, ranges.EARLIEST_US)
    batch.recorded_us[1] += outside
    with pytest.raises(OutsideDay, match="hour"):
        table.fold(np.array([1, 1]), batch)
    assert untouched(table, [0, 1, 2])


def test_flat_indexes_are_made_in_the_fold_alone_and_scattered_writes_where_they_are_known() -> None:
    """A new one has to be looked at: is its index within its row, whatever comes in?"""
    found: dict[str, set[str]] = {}
    for path in Path(stream_processor.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in {"reshape", "ravel", "at"}:
                source = ast.unparse(node.func)
                if source.endswith((".reshape", ".ravel")) or source.startswith("np."):
                    found.setdefault(path.name, set()).add(source.rpartition(".")[2])
    assert found == {
        "fold.py": {"at"},  # by the row; hours are checked here for all facets
        "signal.py": {"at", "reshape"},  # hours are checked, buckets are bounded
        "battery.py": {"at", "reshape"},  # hours are checked
        "error.py": {"at"},
        "location.py": {"at"},
        "instants.py": {"reshape"},  # a matrix of digits
        "decode.py": {"at"},  # by partition, from np.unique
        "batch.py": {"at"},  # by prosthesis
        "apply.py": {"at"},  # by the row of the cache
        "reports.py": {"at"},
    }


def events(count: int, recorded_us: int, **columns: int) -> TelemetryColumns:
    batch = TelemetryColumns.blank(count)
    batch.recorded_us[:] = recorded_us
    for name, value in ({"facets": 1} | columns).items():
        getattr(batch, name)[:] = value
    return batch


def untouched(table: FoldTable, slots: list[int]) -> bool:
    empty = FoldTable(1)
    states = table.dump(np.array(slots, dtype=np.int64)) if slots else []
    return all(state == empty.dump(np.zeros(1, np.int64))[0] for state in states) and not set(slots) & table.errors.keys()

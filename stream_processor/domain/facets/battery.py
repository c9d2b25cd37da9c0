"""The battery: its level over the day, and the drain (``docs/metrics.md``, "Battery").

The first and the last sample of each hour are kept as one whole number each: the time since the day began in the high bits, the level in the low ones. So "the level of the
earliest sample" is a plain minimum.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from schemas.mapping import TelemetryTable
from schemas.ranges import MAX_BATTERY_BP
from schemas.raw_telemetry import BATTERY, Ints, TelemetryColumns
from stream_processor.domain.calendar import MAX_HOURS
from stream_processor.domain.facets.base import NEVER, MartColumns, Operation, Placed, Selection, SourceField, StateField, StateTable
from stream_processor.domain.values import SourceRow, amount, scaled

LEVEL_BITS = 14  # 0 … 10,000
LEVEL_MASK = (1 << LEVEL_BITS) - 1


def drain_bp(first: Ints, last: Ints) -> Ints:
    """The drain in basis points of each row of samples by hour (n × MAX_HOURS; NEVER and −1 where an hour has none)."""
    drain = np.zeros(len(first), np.int64)
    before = np.full(len(first), -1, np.int64)
    for hour in range(MAX_HOURS):
        sampled = last[:, hour] >= 0
        begin, end = first[:, hour] & LEVEL_MASK, last[:, hour] & LEVEL_MASK
        between = np.where(before >= 0, np.maximum(before - begin, 0), 0)
        drain += np.where(sampled, np.maximum(begin - end, 0) + between, 0)
        before = np.where(sampled, end, before)
    return drain


def first_and_last_bp(first: Ints, last: Ints) -> tuple[Ints, Ints]:
    """The level at the first and at the last sample of each row (0 where there is none)."""
    least, greatest = first.min(axis=1), last.max(axis=1)
    return np.where(least == NEVER, 0, least & LEVEL_MASK), np.where(greatest < 0, 0, greatest & LEVEL_MASK)


def by_hour_bp(samples: Ints, hours: Sequence[int]) -> list[list[int]]:
    """The level of the packed sample of each hour of days that have so many *hours*; −1 where an hour has none."""
    levels = np.where((samples == NEVER) | (samples < 0), -1, samples & LEVEL_MASK)
    return [by_hour[:count] for by_hour, count in zip(levels.tolist(), hours, strict=True)]


class BatteryFacet:
    name, bit = "battery", BATTERY
    state = (
        StateField("battery_count", Operation.SUM),
        StateField("battery_min", Operation.MINIMUM),
        StateField("battery_max", Operation.MAXIMUM),
        StateField("battery_first", Operation.MINIMUM, MAX_HOURS),
        StateField("battery_last", Operation.MAXIMUM, MAX_HOURS),
    )

    def source_fields(self, table: TelemetryTable) -> Mapping[str, SourceField]:
        return {"battery": SourceField(table.battery.column, amount(MAX_BATTERY_BP, table.battery.factor))} if table.battery else {}

    def read(self, rows: Sequence[SourceRow], table: TelemetryTable, columns: TelemetryColumns, at: Ints) -> None:
        if table.battery:
            columns.battery_bp[at] = scaled("battery", rows, table.battery.factor)

    def fold(self, table: StateTable, placed: Placed, which: Ints) -> None:
        of, rows, hours = table.columns, placed.rows[which], placed.hours[which]
        level = placed.events.battery_bp[which].astype(np.int64)
        sample = (placed.since_us[which] << LEVEL_BITS) | level
        np.add.at(of["battery_count"], rows, 1)
        np.minimum.at(of["battery_min"], rows, level)
        np.maximum.at(of["battery_max"], rows, level)
        np.minimum.at(of["battery_first"].reshape(-1), hours, sample)
        np.maximum.at(of["battery_last"].reshape(-1), hours, sample)

    def report(self, states: Selection) -> MartColumns:
        earliest, latest = states["battery_first"], states["battery_last"]
        any_samples = states["battery_count"] > 0
        first, last = first_and_last_bp(earliest, latest)
        return {
            "battery_count": states["battery_count"].tolist(),
            "battery_min_bp": np.where(any_samples, states["battery_min"], 0).tolist(),
            "battery_max_bp": np.where(any_samples, states["battery_max"], 0).tolist(),
            "battery_first_bp": first.tolist(),
            "battery_last_bp": last.tolist(),
            "battery_drain_bp": drain_bp(earliest, latest).tolist(),
            "battery_first_bp_by_hour": by_hour_bp(earliest, states.hours),
            "battery_last_bp_by_hour": by_hour_bp(latest, states.hours),
        }

"""The last known position, as a square of 0.1° (a *geo cell*) and never more exactly (``docs/metrics.md``, "Location").

It is kept as one whole number: the time since the day began in the high bits, the two indexes of the geo cell in the low ones. So "the position of the latest event" is a plain maximum.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from schemas.mapping import TelemetryTable
from schemas.ranges import MAX_LATITUDE, MAX_LONGITUDE
from schemas.raw_telemetry import LOCATION, Ints, TelemetryColumns
from stream_processor.domain.facets.base import MartColumns, Operation, Placed, Selection, SourceField, StateField, StateTable
from stream_processor.domain.values import SourceRow, number, scaled

MICRODEGREES_PER_CELL = 100_000
LON_BITS, LAT_BITS = 12, 11  # cells −1800 … 1800 and −900 … 900, shifted to be positive
GEO_CELL_BITS = LON_BITS + LAT_BITS
LAT_SHIFT, LON_SHIFT = 900, 1800


def _angle(limit: int, factor: int) -> Any:
    return number(-limit * 1_000_000 / factor, limit * 1_000_000 / factor)


def _geo_cells(name: str, rows: Sequence[SourceRow], factor: int) -> Ints:
    return np.floor_divide(scaled(name, rows, factor), MICRODEGREES_PER_CELL)


def _unpacked(positions: Ints) -> tuple[list[int | None], list[int | None]]:
    """Latitude and longitude cells of stored positions, None where there is none."""
    lat = ((positions >> LON_BITS) & ((1 << LAT_BITS) - 1)) - LAT_SHIFT
    lon = (positions & ((1 << LON_BITS) - 1)) - LON_SHIFT
    known = (positions >= 0).tolist()
    first, second = ([cell if there else None for cell, there in zip(of.tolist(), known, strict=True)] for of in (lat, lon))
    return first, second


class LocationFacet:
    name, bit = "location", LOCATION
    state = (StateField("place", Operation.MAXIMUM),)

    def source_fields(self, table: TelemetryTable) -> Mapping[str, SourceField]:
        if not (table.latitude and table.longitude):
            return {}
        return {
            "latitude": SourceField(table.latitude.column, _angle(MAX_LATITUDE, table.latitude.factor)),
            "longitude": SourceField(table.longitude.column, _angle(MAX_LONGITUDE, table.longitude.factor)),
        }

    def read(self, rows: Sequence[SourceRow], table: TelemetryTable, columns: TelemetryColumns, at: Ints) -> None:
        if table.latitude and table.longitude:
            columns.lat_cell[at] = _geo_cells("latitude", rows, table.latitude.factor)
            columns.lon_cell[at] = _geo_cells("longitude", rows, table.longitude.factor)

    def fold(self, table: StateTable, placed: Placed, which: Ints) -> None:
        lat = placed.events.lat_cell[which].astype(np.int64) + LAT_SHIFT
        lon = placed.events.lon_cell[which].astype(np.int64) + LON_SHIFT
        position = (placed.since_us[which] << GEO_CELL_BITS) | (lat << LON_BITS) | lon
        np.maximum.at(table.columns["place"], placed.rows[which], position)

    def report(self, states: Selection) -> MartColumns:
        lat, lon = _unpacked(states["place"])
        return {"location_lat_cell": lat, "location_lon_cell": lon}

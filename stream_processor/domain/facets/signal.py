"""Muscle signals: active time by hour, how many became the intended movement, and how strong they were (``docs/metrics.md``, "Signals")."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from schemas.mapping import TelemetryTable
from schemas.ranges import MAX_ACTIVE_MS, MAX_AMPLITUDE_UV
from schemas.raw_telemetry import SIGNAL, Ints, TelemetryColumns
from stream_processor.domain.calendar import MAX_HOURS
from stream_processor.domain.facets.base import MartColumns, Operation, Placed, Selection, SourceField, StateField, StateTable
from stream_processor.domain.values import SourceRow, amount, numbers, scaled

BUCKETS = 16


def bucket_of(amplitude: Ints) -> Ints:
    """The histogram's bucket, 0 … 15: ``min(15, bit_length(a))`` of amplitudes that are not negative. frexp's exponent is the bit length of a positive integer below 2^53."""
    return np.minimum(np.frexp(amplitude.astype(np.float64))[1], BUCKETS - 1).astype(np.int64)


class SignalFacet:
    name, bit = "signal", SIGNAL
    state = (
        StateField("usage_ms", Operation.SUM, MAX_HOURS),
        StateField("signal_count", Operation.SUM),
        StateField("recognised_count", Operation.SUM),
        StateField("amplitude_sum", Operation.SUM),
        StateField("amplitude_min", Operation.MINIMUM),
        StateField("amplitude_max", Operation.MAXIMUM),
        StateField("amplitude_histogram", Operation.SUM, BUCKETS),
    )

    def source_fields(self, table: TelemetryTable) -> Mapping[str, SourceField]:
        if not (table.amplitude and table.recognised and table.active):
            return {}
        return {
            "amplitude": SourceField(table.amplitude.column, amount(MAX_AMPLITUDE_UV, table.amplitude.factor)),
            "recognised": SourceField(table.recognised.column, bool),
            "active": SourceField(table.active.column, amount(MAX_ACTIVE_MS, table.active.factor)),
        }

    def read(self, rows: Sequence[SourceRow], table: TelemetryTable, columns: TelemetryColumns, at: Ints) -> None:
        if table.amplitude and table.active:
            columns.amplitude_uv[at] = scaled("amplitude", rows, table.amplitude.factor)
            columns.recognised[at] = numbers("recognised", rows, np.uint8)
            columns.active_ms[at] = scaled("active", rows, table.active.factor)

    def fold(self, table: StateTable, placed: Placed, which: Ints) -> None:
        of, events, rows = table.columns, placed.events, placed.rows[which]
        amplitude = events.amplitude_uv[which].astype(np.int64)
        np.add.at(of["usage_ms"].reshape(-1), placed.hours[which], events.active_ms[which].astype(np.int64))
        np.add.at(of["signal_count"], rows, 1)
        np.add.at(of["recognised_count"], rows, events.recognised[which].astype(np.int64))
        np.add.at(of["amplitude_sum"], rows, amplitude)
        np.minimum.at(of["amplitude_min"], rows, amplitude)
        np.maximum.at(of["amplitude_max"], rows, amplitude)
        np.add.at(of["amplitude_histogram"].reshape(-1), rows * BUCKETS + bucket_of(amplitude), 1)

    def report(self, states: Selection) -> MartColumns:
        usage = states["usage_ms"]
        any_signals = states["signal_count"] > 0
        return {
            "usage_ms": usage.sum(axis=1).tolist(),
            "usage_ms_by_hour": [by_hour[:count] for by_hour, count in zip(usage.tolist(), states.hours, strict=True)],
            "signal_count": states["signal_count"].tolist(),
            "recognised_count": states["recognised_count"].tolist(),
            "amplitude_uv_sum": states["amplitude_sum"].tolist(),
            "amplitude_uv_min": np.where(any_signals, states["amplitude_min"], 0).tolist(),
            "amplitude_uv_max": np.where(any_signals, states["amplitude_max"], 0).tolist(),
            "amplitude_histogram": states["amplitude_histogram"].tolist(),
        }

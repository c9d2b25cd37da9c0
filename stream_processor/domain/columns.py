"""Telemetry as columns: one NumPy array a field, one element an event."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[Any]

SIGNAL, BATTERY, ERROR, LOCATION = 1, 2, 4, 8

DTYPES: dict[str, Any] = {
    "event_id_hi": np.uint64,
    "event_id_lo": np.uint64,
    "recorded_us": np.int64,
    "facets": np.uint8,
    "amplitude_uv": np.uint32,
    "recognised": np.uint8,
    "active_ms": np.uint32,
    "battery_bp": np.uint16,
    "error_code": object,
    "error_severity": np.uint8,
    "lat_cell": np.int16,
    "lon_cell": np.int16,
    "deleted": np.uint8,
    "lsn": np.uint64,
    "partition": np.uint16,
    "offset": np.int64,
    "device": np.int64,
}


@dataclass(slots=True)
class TelemetryColumns:
    """Canonical events, equally long columns; units as in ``docs/metrics.md``.

    ``device`` is the index of the prosthesis in the worker's ``Devices``; ``offset`` the position in ``prosthesis.log``;
    a field of a facet that the event does not have is 0 (``error_code`` the empty string).
    """

    event_id_hi: Ints
    event_id_lo: Ints
    recorded_us: Ints
    facets: Ints
    amplitude_uv: Ints
    recognised: Ints
    active_ms: Ints
    battery_bp: Ints
    error_code: Ints
    error_severity: Ints
    lat_cell: Ints
    lon_cell: Ints
    deleted: Ints
    lsn: Ints
    partition: Ints
    offset: Ints
    device: Ints

    def __len__(self) -> int:
        return len(self.recorded_us)

    @classmethod
    def blank(cls, length: int) -> TelemetryColumns:
        """*length* events with every field zero."""
        columns = {name: np.zeros(length, dtype) for name, dtype in DTYPES.items()}
        columns["error_code"] = np.full(length, "", dtype=object)
        return cls(**columns)

    def take(self, which: Ints) -> TelemetryColumns:
        """The events at the indices, or under the boolean mask, *which*."""
        return TelemetryColumns(*(getattr(self, field.name)[which] for field in fields(self)))

    @classmethod
    def concatenate(cls, parts: Sequence[TelemetryColumns]) -> TelemetryColumns:
        if len(parts) == 1:
            return parts[0]
        if not parts:
            return cls.blank(0)
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))

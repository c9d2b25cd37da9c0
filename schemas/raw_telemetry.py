"""The catalogue of raw telemetry: canonical events as columns, with the NumPy and the ClickHouse type of each, in one place.

From it come the table's definition, the arrays that the processor works on, what it writes and reads, and the list of columns that ``bionicpro repair`` compares.
Units are those of ``docs/metrics.md``, ranges those of ``schemas.ranges``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Annotated, Any, NamedTuple, get_type_hints

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[Any]

SIGNAL, BATTERY, ERROR, LOCATION = 1, 2, 4, 8
"""The bits of the column ``facets``: which parts an event has."""


class Raw(NamedTuple):
    """*type*: ClickHouse's; empty: it is not stored. *dtype*: the array's. *column*: its name in the table, where it is another. *content*: what the source says of the event."""

    type: str
    dtype: Any
    column: str = ""
    content: bool = False


@dataclass(slots=True)
class TelemetryColumns:
    """Canonical events, equally long columns.

    ``device`` is the index of the prosthesis in the worker's ``Devices``; ``offset`` the position in ``prosthesis.log``;
    a field of a facet that the event does not have is 0 (``error_code`` the empty string).
    """

    event_id_hi: Annotated[Ints, Raw("UInt64 CODEC(Delta, LZ4)", np.uint64)]
    event_id_lo: Annotated[Ints, Raw("UInt64 CODEC(Delta, LZ4)", np.uint64)]
    recorded_us: Annotated[Ints, Raw("DateTime64(6, 'UTC') CODEC(Delta, LZ4)", np.int64, "recorded_at", content=True)]
    facets: Annotated[Ints, Raw("UInt8", np.uint8, content=True)]
    amplitude_uv: Annotated[Ints, Raw("UInt32", np.uint32, content=True)]
    recognised: Annotated[Ints, Raw("UInt8", np.uint8, content=True)]
    active_ms: Annotated[Ints, Raw("UInt32", np.uint32, content=True)]
    battery_bp: Annotated[Ints, Raw("UInt16", np.uint16, content=True)]
    error_code: Annotated[Ints, Raw("LowCardinality(String)", object, content=True)]
    error_severity: Annotated[Ints, Raw("UInt8", np.uint8, content=True)]
    lat_cell: Annotated[Ints, Raw("Int16", np.int16, content=True)]
    lon_cell: Annotated[Ints, Raw("Int16", np.int16, content=True)]
    deleted: Annotated[Ints, Raw("UInt8", np.uint8)]
    lsn: Annotated[Ints, Raw("UInt64 CODEC(Delta, LZ4)", np.uint64)]
    partition: Annotated[Ints, Raw("UInt16", np.uint16, "log_partition")]
    offset: Annotated[Ints, Raw("UInt64 CODEC(Delta, LZ4)", np.int64, "log_offset")]
    device: Annotated[Ints, Raw("", np.int64)]

    def __len__(self) -> int:
        return len(self.recorded_us)

    @classmethod
    def blank(cls, length: int) -> TelemetryColumns:
        """*length* events with every field zero."""
        columns = {
            name: np.zeros(length, raw.dtype) if raw.dtype is not object else np.full(length, "", object) for name, raw in RAW.items()
        }
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


RAW: dict[str, Raw] = {name: hint.__metadata__[0] for name, hint in get_type_hints(TelemetryColumns, include_extras=True).items()}
"""Every column of ``TelemetryColumns``."""
STORED = {name: raw.column or name for name, raw in RAW.items() if raw.type}
"""The table's name of each stored column. The table has ``prosthesis_id`` before and ``former_us`` after them."""
COLUMNS = {"prosthesis_id": "String"} | {STORED[name]: RAW[name].type for name in STORED} | {"former_us": "Array(Int64)"}
"""The table's columns and their types. ``former_us``: times under which an event was found before, where only a look-up told."""
CONTENT = tuple(name for name, raw in RAW.items() if raw.content)
"""What two sides must agree on for an event to be the same."""


def whole(name: str) -> str:
    """An expression that reads the stored column as a whole number or a text; times in microseconds since 1970-01-01 UTC."""
    column = STORED[name]
    if RAW[name].type.startswith("DateTime64(6"):
        return f"toUnixTimestamp64Micro({column})"
    if RAW[name].type.startswith("LowCardinality"):
        return f"toString({column})"
    return f"toInt64({column})" if name == "offset" else column

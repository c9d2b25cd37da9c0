"""What a facet is, and the terms that all of them use.

A *state* is what is known of one report; states lie side by side in a table of columns (``domain/fold.py``), one *row* of it a report.
A state is a commutative monoid: each of its fields is a sum, a minimum or a maximum of whole numbers, so that neither order nor batching of events can matter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple, Protocol

import numpy as np

from schemas.mapping import TelemetryTable
from schemas.raw_telemetry import Ints, TelemetryColumns
from stream_processor.domain.values import SourceRow

NEVER = int(np.iinfo(np.int64).max)
"""The minimum of nothing."""
MartColumns = dict[str, Sequence[Any]]


class Operation(Enum):
    """How two values of a field become one; the value is that of no events."""

    SUM = 0
    MINIMUM = NEVER
    MAXIMUM = -1


class StateField(NamedTuple):
    """A field of a day's state: *width* numbers, combined by *operation*."""

    name: str
    operation: Operation
    width: int = 1


class SourceField(NamedTuple):
    """A field of a source's row: the *column* it comes from, and the *kind* (a type with its range) that msgspec checks while it decodes.

    *added*: the column came after the source had rows. Records from before it lack it, which is null then; of any other column nothing is known where it is absent.
    """

    column: str
    kind: Any
    added: bool = False


@dataclass(frozen=True, slots=True)
class Placed:
    """Events with their places: the *row* of its report in the table, the index of its hour in the table's columns by hour, and the microseconds since the day began."""

    events: TelemetryColumns
    rows: Ints
    hours: Ints
    since_us: Ints


class StateTable(Protocol):
    """The states of many reports: *columns* by the name of the field; *errors*: counts by code of those rows that have any."""

    columns: dict[str, Ints]
    errors: dict[int, dict[str, int]]


@dataclass(frozen=True, slots=True)
class Selection:
    """Some states: those in *rows* of *table*, whose days have so many *hours*. ``selection[name]`` is a field of all of them."""

    table: StateTable
    rows: Ints
    hours: Sequence[int]

    def __getitem__(self, name: str) -> Ints:
        column: Ints = self.table.columns[name][self.rows]
        return column


class Facet(Protocol):
    """One part of telemetry. Everything in it is pure, and nothing is kept between calls."""

    @property
    def name(self) -> str:
        """Its word in a source mapping."""
        ...

    @property
    def bit(self) -> int:
        """Its bit in the column ``facets``."""
        ...

    @property
    def state(self) -> tuple[StateField, ...]: ...

    def source_fields(self, table: TelemetryTable) -> Mapping[str, SourceField]:
        """What is read of a row of the mapped table; empty where the table has no columns for the facet."""
        ...

    def read(self, rows: Sequence[SourceRow], table: TelemetryTable, columns: TelemetryColumns, at: Ints) -> None:
        """Fill *columns* at the indices *at* from the decoded *rows*. Raises InvalidRow where a value is missing or out of range."""
        ...

    def fold(self, table: StateTable, placed: Placed, which: Ints) -> None:
        """Fold those of the placed events that *which* chooses, all of which have the facet."""
        ...

    def report(self, states: Selection) -> MartColumns:
        """The facet's columns of the mart for the selected states."""
        ...

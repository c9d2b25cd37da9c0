"""The fold: the states of many reports side by side in one table of columns, one row a report.

Folding scatters the columns of a batch into the table with NumPy's unbuffered ``ufunc.at``. What is kept, and by which operation, each facet says
(``domain/facets/``); every operation is commutative and associative, so that neither order nor batching of events can matter.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from schemas.raw_telemetry import Ints, TelemetryColumns
from stream_processor.domain.calendar import HOUR_US, MAX_HOURS
from stream_processor.domain.facets import FACETS
from stream_processor.domain.facets.base import MartColumns, Operation, Placed, Selection, StateField

FOLD_FORMAT = 2
"""The number of the stored layout, to be raised whenever LAYOUT changes (a test holds the two together): states of another number are computed again from raw. 1 had 26 hours."""
OF_ALL_EVENTS = (
    StateField("event_count", Operation.SUM),
    StateField("first_us", Operation.MINIMUM),
    StateField("last_us", Operation.MAXIMUM),
)
STATE = {field.name: field for field in (*OF_ALL_EVENTS, *(field for facet in FACETS for field in facet.state))}
LAYOUT = np.dtype([(field.name, "<i8", (field.width,) if field.width > 1 else ()) for field in STATE.values()])
"""The stored form of one state: little-endian, packed."""


class OutsideDay(RuntimeError):  # noqa: N818 - named for what it is
    """An event lies before its report's day, or after its last hour: what was decided of the day and what is folded do not agree."""


class FoldTable:
    """States in the rows ``0 … capacity-1``. Grows as it is told; whoever owns it bounds the number of rows."""

    def __init__(self, capacity: int = 1024) -> None:
        self.capacity = 0
        self.columns: dict[str, Ints] = {}
        self.day_starts_us: Ints = np.zeros(0, np.int64)
        self.errors: dict[int, dict[str, int]] = {}
        self.grow(capacity)

    def grow(self, capacity: int) -> None:
        """Make room for *capacity* rows; the new ones are states of no events."""
        extra = capacity - self.capacity
        if extra <= 0:
            return
        for name, field in STATE.items():
            fresh = np.full((extra, *LAYOUT[name].shape), field.operation.value, np.int64)
            self.columns[name] = np.concatenate([self.columns[name], fresh]) if self.capacity else fresh
        self.day_starts_us = np.concatenate([self.day_starts_us, np.zeros(extra, np.int64)])
        self.capacity = capacity

    def reset(self, rows: Ints) -> None:
        """Make *rows* states of no events again."""
        for name, column in self.columns.items():
            column[rows] = STATE[name].operation.value
        for row in rows.tolist():
            self.errors.pop(row, None)

    def dump(self, rows: Ints) -> list[bytes]:
        """The stored form of each row's numbers (errors by code are stored beside it)."""
        packed = np.empty(len(rows), LAYOUT)
        for name, column in self.columns.items():
            packed[name] = column[rows]
        data, size = packed.tobytes(), LAYOUT.itemsize
        return [data[i : i + size] for i in range(0, len(data), size)]

    def load(self, rows: Ints, states: Sequence[bytes], errors: Sequence[dict[str, int]]) -> None:
        """Fill *rows* from stored forms. Raises ValueError where one has not the layout's size."""
        packed = np.frombuffer(b"".join(states), LAYOUT, count=len(rows))
        for name, column in self.columns.items():
            column[rows] = packed[name]
        for row, by_code in zip(rows.tolist(), errors, strict=True):
            if by_code:
                self.errors[row] = dict(by_code)
            else:
                self.errors.pop(row, None)

    def copy(self, rows: Ints, other: FoldTable, others: Ints) -> None:
        """Make *rows* the states that *other* has in its rows *others*."""
        for name, column in self.columns.items():
            column[rows] = other.columns[name][others]
        for row, of in zip(rows.tolist(), others.tolist(), strict=True):
            self.errors.pop(row, None)
            if of in other.errors:
                self.errors[row] = dict(other.errors[of])

    def fold(self, rows: Ints, events: TelemetryColumns) -> None:
        """Fold each event into the row at its position in *rows*. Raises OutsideDay, and changes nothing, where one lies outside its report's day."""
        if not len(rows):
            return
        since = events.recorded_us - self.day_starts_us[rows]
        hours = since // HOUR_US
        # Columns by hour are indexed flat: an hour beyond its row would be another person's.
        if hours.min() < 0 or hours.max() >= MAX_HOURS:
            raise OutsideDay(_outside(rows, hours))
        of = self.columns
        np.add.at(of["event_count"], rows, 1)
        np.minimum.at(of["first_us"], rows, events.recorded_us)
        np.maximum.at(of["last_us"], rows, events.recorded_us)
        placed = Placed(events, rows, rows * MAX_HOURS + hours, since)
        for facet in FACETS:
            which = np.flatnonzero(events.facets & facet.bit)
            if len(which):
                facet.fold(self, placed, which)

    def report(self, rows: Ints, hours: Sequence[int]) -> MartColumns:
        """The numbers of the reports in *rows*, whose days have so many *hours*: every column of the mart that telemetry decides."""
        states = Selection(self, rows, hours)
        happened = states["event_count"] > 0
        numbers: MartColumns = {
            "event_count": states["event_count"].tolist(),
            "first_event_at": np.where(happened, states["first_us"], 0).tolist(),
            "last_event_at": np.where(happened, states["last_us"], 0).tolist(),
        }
        for facet in FACETS:
            numbers |= facet.report(states)
        return numbers


def _outside(rows: Ints, hours: Ints) -> str:
    at = int(np.flatnonzero((hours < 0) | (hours >= MAX_HOURS))[0])
    return f"an event lies in hour {int(hours[at])} of the day of row {int(rows[at])}; a day has hours 0 … {MAX_HOURS - 1}"

"""A window of reports while it is folded from raw, in a table of its own: it may be left between two parts of raw, and nobody sees it half done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from schemas.raw_telemetry import Ints, TelemetryColumns
from stream_processor.domain.devices import ReportId
from stream_processor.domain.duplicates import EventId
from stream_processor.domain.fold import FoldTable
from stream_processor.domain.states import Page

BEFORE_ALL: EventId = ("", 0, 0)
"""Below every event in the order of raw's key."""


@dataclass(eq=False, slots=True)
class WindowFold:
    """The reports of *pages*, folded by passes over raw in the order of its key.

    By prosthesis: a pass takes the events from beyond the offset *since* up to *up_to*; *after* is the last event that it has read. So each event is folded once, as long as raw keeps
    what it had up to *up_to*: whatever replaces or removes that makes the fold worthless.
    """

    pages: Sequence[Page]
    up_to: Mapping[int, int]
    since: Mapping[int, int]
    after: EventId = BEFORE_ALL
    table: FoldTable = field(default_factory=lambda: FoldTable(1))
    rows: dict[ReportId, int] = field(default_factory=dict)

    @classmethod
    def begin(cls, pages: Sequence[Page], offsets: Mapping[int, int]) -> WindowFold:
        return cls(pages, offsets, dict.fromkeys(offsets, -1))

    def go_on_to(self, offsets: Mapping[int, int]) -> None:
        """A pass has ended: the next one takes what came meanwhile, up to *offsets*."""
        self.since, self.up_to, self.after = self.up_to, offsets, BEFORE_ALL

    def of_this_pass(self, events: TelemetryColumns) -> Ints:
        """Which of *events* it takes, as a mask."""
        devices, index = np.unique(events.device, return_inverse=True)
        since = np.array([self.since[device] for device in devices.tolist()], dtype=np.int64)[index]
        up_to = np.array([self.up_to[device] for device in devices.tolist()], dtype=np.int64)[index]
        mask: Ints = (events.offset > since) & (events.offset <= up_to)
        return mask

    def add(self, report: ReportId, day_starts_us: int) -> None:
        """A row for *report*, where it has none, with nothing folded."""
        if report not in self.rows:
            row = self.rows[report] = len(self.rows)
            if row >= self.table.capacity:
                self.table.grow(2 * self.table.capacity)
            self.table.day_starts_us[row] = day_starts_us

    def fold(self, events: TelemetryColumns, reports: Sequence[ReportId], index: Ints) -> None:
        """Fold *events*, each into the report of *reports* that *index* names, where that was added."""
        row_of_report = np.array([self.rows.get(report, -1) for report in reports] or [-1], dtype=np.int64)
        at = np.where(index >= 0, row_of_report[index], -1)
        chosen = np.flatnonzero(at >= 0)
        self.table.fold(at[chosen], events.take(chosen))

    def rows_of(self, reports: Iterable[ReportId]) -> Ints:
        return np.array([self.rows[report] for report in reports], dtype=np.int64)

"""The worker's cache of report states: which report lies in which row of the fold table, and the offset that is folded into it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence

import numpy as np

from schemas.raw_telemetry import Ints
from stream_processor.domain.devices import ReportId
from stream_processor.domain.fold import FoldTable

NOTHING_FOLDED = -1
GROW_AT_MOST = 4_096  # rows: doubling a large table would leave half of it empty
Page = tuple[int, int]  # (device, day number): what is read from the store at once, all users of it


class StateCache:
    """Least recently used (device, day) pages leave first. Rows of pages touched by the batch at hand are never evicted."""

    def __init__(self, limit: int) -> None:
        self.folds = FoldTable()
        self.folded_to: Ints = np.full(self.folds.capacity, NOTHING_FOLDED, np.int64)
        self.stored: Ints = np.zeros(self.folds.capacity, bool)  # whether the store has a row for the report
        self._limit = limit
        self._rows: dict[ReportId, int] = {}
        self._pages: OrderedDict[Page, list[ReportId]] = OrderedDict()
        self._free: list[int] = list(range(self.folds.capacity - 1, -1, -1))

    def __len__(self) -> int:
        return len(self._rows)

    def missing(self, pages: Iterable[Page]) -> list[Page]:
        """Which of *pages* are not cached. The others count as used now."""
        absent = []
        for page in pages:
            if page in self._pages:
                self._pages.move_to_end(page)
            else:
                absent.append(page)
        return absent

    def add_page(self, page: Page) -> None:
        """From now on *page* counts as read: reports of it that are not added do not exist in the store."""
        self._pages[page] = []

    def row(self, report: ReportId) -> int | None:
        return self._rows.get(report)

    def reports_of_page(self, page: Page) -> Sequence[ReportId]:
        """The reports known of a cached page."""
        return tuple(self._pages[page])

    def add(self, report: ReportId, day_starts_us: int, folded_to: int = NOTHING_FOLDED, *, stored: bool = False) -> int:
        """A row for a report of a cached page, holding the identity."""
        if not self._free:
            self._grow()
        row = self._free.pop()
        self._rows[report] = row
        self._pages[report[:2]].append(report)
        self.folds.day_starts_us[row] = day_starts_us
        self.folded_to[row] = folded_to
        self.stored[row] = stored
        return row

    def _grow(self) -> None:
        old = self.folds.capacity
        new = old + min(old, GROW_AT_MOST)
        self.folds.grow(new)
        self.folded_to = np.concatenate([self.folded_to, np.full(new - old, NOTHING_FOLDED, np.int64)])
        self.stored = np.concatenate([self.stored, np.zeros(new - old, bool)])
        self._free.extend(range(new - 1, old - 1, -1))

    def make_room(self, coming: Iterable[Page]) -> None:
        """Forget the least recently used pages until the limit holds with *coming* too, as far as that goes. Call before a batch touches anything."""
        pages = dict.fromkeys(coming)
        absent = self.missing(pages)
        self._evict(self._limit - len(absent), spare=len(pages) - len(absent))

    def evict(self) -> None:
        """Forget the least recently used pages until the limit holds. Call between batches only."""
        self._evict(self._limit)

    def _evict(self, limit: int, spare: int = 0) -> None:
        """All but the *spare* last used pages may go."""
        released: list[int] = []
        while len(self._pages) > spare and max(len(self._rows), len(self._pages)) > limit:
            _, reports = self._pages.popitem(last=False)
            released.extend(self._rows.pop(report) for report in reports)
        if released:
            self.folds.reset(np.array(released, dtype=np.int64))
            self._free.extend(released)

"""What a worker remembers while it has one assignment of partitions: everything here is a cache of the store, or work begun and not finished.

A new assignment makes a new one, and so does any failure: nothing is ever cleared by hand.
"""

from __future__ import annotations

from collections.abc import Mapping

from stream_processor.domain.devices import Devices
from stream_processor.domain.log_records import Progress
from stream_processor.domain.states import StateCache
from stream_processor.erasures import Erasures
from stream_processor.pending import PendingRecompute
from stream_processor.ports import ReportStore, StoredOwnership
from stream_processor.recompute import Recompute
from stream_processor.reports import Reports


class Assignment:
    """*epoch*: the consumer group's generation, in which it is valid."""

    def __init__(self, epoch: int, store: ReportStore, *, partitions: int, cached_states: int, integer_ids: bool) -> None:
        self.epoch = epoch
        self.store = store
        self.integer_ids = integer_ids
        self.devices = Devices(partitions)
        self.states = StateCache(cached_states)
        self.reports = Reports(store, self.devices, self.states, integer_ids=integer_ids)
        self.erasures = Erasures(store, self.devices)
        self.recompute = Recompute(store, self.devices, self.states, self.reports, self.erasures)
        self.as_of: dict[int, int] | None = None
        """The source's time up to which each partition is handled, in milliseconds; None: not read yet."""
        self.handled: dict[int, int] = {}
        """The offset up to which each partition was handled when ``as_of`` was read: the documents up to there are stored."""
        self.unfinished: dict[int, PendingRecompute] = {}
        """Recomputes that go on, by prosthesis."""
        self.ownership: dict[int, StoredOwnership] = {}
        """Documents whose recompute is unfinished: they are stored after it."""
        self.progress: dict[int, Progress] = {}
        """How far partitions are whose recompute is unfinished: it is stored after it."""

    def reached(self, batch: Mapping[int, Progress]) -> dict[int, int]:
        """The offset up to which each partition has been handled once *batch* is, now or before this assignment."""
        reached = dict(self.handled)
        for partition, progress in (*self.progress.items(), *batch.items()):
            reached[partition] = max(progress.offset, reached.get(partition, -1))
        return reached

    @property
    def unfinished_partitions(self) -> frozenset[int]:
        return frozenset(self.devices[device].partition for device in self.unfinished)

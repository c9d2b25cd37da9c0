"""A batch of the log on its way through the engine: what has been decided of it, and what is in flight within it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from schemas.raw_telemetry import Ints, TelemetryColumns
from stream_processor.domain.decode import Change, Document, Inserts
from stream_processor.domain.devices import CellKey
from stream_processor.domain.duplicates import KnownEvent
from stream_processor.recompute import Work

Identity = tuple[int, int, int]  # (device, high half, low half) of an event


class Batch:
    """What has been decided of the batch at hand."""

    cells: list[CellKey]
    report: Ints
    slot: Ints
    beyond: Ints
    duplicate: Ints

    def __init__(self, inserts: Inserts, unfinished: dict[int, Work]) -> None:
        self.inserts = inserts
        self.changes: list[tuple[int, Change]] = []
        self.documents: dict[int, list[Document]] = {}
        self.works = dict(unfinished)
        self.former: dict[Identity, tuple[int, ...]] = {}

    def first_inserts(self, devices: int) -> Ints:
        """The offset of the first insert of each of *devices* prostheses; beyond every offset where there is none."""
        first: Ints = np.full(devices, np.iinfo(np.int64).max)
        np.minimum.at(first, self.inserts.columns.device, self.inserts.columns.offset)
        return first

    def supersede(self, i: int, known: KnownEvent | None) -> None:
        """The insert at *i* takes the place of what raw knows of the event, whose reports have to be computed anew.

        Its raw row says where that was: once it is written nothing else would tell, and a crash may come before the reports are.
        """
        events = self.inserts.columns
        work = self.work(int(events.device[i]), int(events.offset[i]))
        if known is not None:
            for instant in known.instants:
                work.add_instant(instant)
            identity = identity_of(events, i)
            left = {*known.instants, *self.former.get(identity, ())} - {int(events.recorded_us[i])}
            if left:
                self.former[identity] = tuple(sorted(left))

    def work(self, device: int, offset: int) -> Work:
        """The recompute of a prosthesis, reaching at least *offset*."""
        work = self.works.get(device)
        if work is None:
            work = self.works[device] = Work(offset)
        work.reach(offset)
        return work


def raw_of(change: Change, device: int) -> TelemetryColumns:
    """The raw row that a change leaves: the new content, or the old one marked deleted."""
    if change.added is not None:
        row = change.added
    elif change.removed is not None:
        row = change.removed
        row.deleted[:] = 1
    else:
        raise ValueError("a change without content")
    row.device[:] = device
    return row


class InFlight:
    """The events of a batch by identity, to find what came earlier in the log than one of them. LSNs are read when asked: ranks are given on the way."""

    def __init__(self, events: TelemetryColumns, at: Ints, changes: Sequence[tuple[int, Change]]) -> None:
        self._events = events
        wanted = {identity_of(events, i) for i in at.tolist()}
        self._inserts: dict[Identity, list[int]] = {}
        identities = zip(events.device.tolist(), events.event_id_hi.tolist(), events.event_id_lo.tolist(), strict=True)
        for i, identity in enumerate(identities):
            if identity in wanted:
                self._inserts.setdefault(identity, []).append(i)
        self._changes: dict[Identity, list[tuple[int, int]]] = {}
        for device, change in changes:
            row = raw_of(change, device)
            self._changes.setdefault(identity_of(row, 0), []).append((int(row.offset[0]), int(row.lsn[0])))

    def lsn_before(self, i: int) -> int | None:
        """The greatest LSN of the same event earlier in the batch than the event at *i*, None if there is none."""
        events, identity, own = self._events, identity_of(self._events, i), int(self._events.offset[i])
        found = [int(events.lsn[k]) for k in self._inserts.get(identity, ()) if int(events.offset[k]) < own]
        found.extend(lsn for offset, lsn in self._changes.get(identity, ()) if offset < own)
        return max(found, default=None)


def identity_of(events: TelemetryColumns, i: int) -> Identity:
    return int(events.device[i]), int(events.event_id_hi[i]), int(events.event_id_lo[i])

"""Planning: what a batch comes to, decided from the batch and from what was gathered, without any effect.

Each prosthesis of a batch is one of two things. *Appended*: only new events came; they are folded into the states of their reports. *Changed*: anything else (an update, a delete, a new
ownership document, a command, an event that raw knows otherwise); its events go to raw, and the reports concerned are computed anew from raw, up to its last offset in the batch. Either way
a report's content is a function of the log up to its version, so that every order of crashes and replays writes the same content under the same version.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from schemas.erasure_rules import ErasureRule
from schemas.raw_telemetry import Ints, TelemetryColumns
from stream_processor.batch import Batch, Identity, change_identity, identity_of, pending_of, raw_of
from stream_processor.domain.devices import ReportId
from stream_processor.domain.duplicates import KnownEvent, Verdict, judge, rank_of_snapshot_row
from stream_processor.domain.log_records import Change, Progress
from stream_processor.gather import Gathered
from stream_processor.outcome import Outcome
from stream_processor.pending import PendingRecompute
from stream_processor.ports import StoredOwnership


class InvariantBroken(RuntimeError):  # noqa: N818 - named for what it is
    """A plan that contradicts docs/architecture.md. Nothing of it has been written."""


@dataclass(frozen=True, slots=True)
class Fold:
    """Events to be folded, each into the cached state at *rows*; and *touched*, the rows of all appended reports with the offset that each will include."""

    events: TelemetryColumns
    rows: Ints
    touched: Ints
    touched_to: Ints


@dataclass(frozen=True, slots=True)
class Plan:
    """The effects of a batch, in the order of ``docs/architecture.md`` ("The order of effects").

    *rules*: 0. *raw* with *former* (times under which each event was found before; None: no event was): 1. *fold* and *appended*, *pending*: 2 to 4.
    *documents*: 5. *progress*: 6. *outcome*: counts, and dead letters for 7.
    """

    rules: Sequence[ErasureRule]
    raw: TelemetryColumns
    former: Sequence[tuple[int, ...]] | None
    fold: Fold
    appended: frozenset[ReportId]
    pending: dict[int, PendingRecompute]
    documents: Mapping[int, StoredOwnership]
    progress: Mapping[int, Progress]
    outcome: Outcome

    def told(self) -> dict[str, Any]:
        """The plan in plain values, to be printed and compared."""
        raw, fold = self.raw, self.fold
        return {
            "rules": list(self.rules),
            "raw": [(*identity_of(raw, i), int(raw.lsn[i]), bool(raw.deleted[i])) for i in range(len(raw))],
            "former": None if self.former is None else list(self.former),
            "folded": [(*identity_of(fold.events, i), row) for i, row in enumerate(fold.rows.tolist())],
            "appended": sorted(self.appended),
            "pending": dict(self.pending),
            "documents": dict(self.documents),
            "progress": dict(self.progress),
            "outcome": self.outcome,
        }


def make_plan(batch: Batch, gathered: Gathered) -> Plan:
    """Decide. Pure: neither *batch* nor *gathered* is changed. Raises InvariantBroken."""
    pending = {device: work.copy() for device, work in batch.pending.items()}
    # Rows of an incremental snapshot are given a rank on the way.
    events = replace(batch.inserts.columns, lsn=batch.inserts.columns.lsn.copy())
    judged = _Judgement(batch, gathered, events, pending)
    judged.judge()
    for device, _, day, last in _unseen(gathered, events):
        pending_of(pending, device, last).add_day(day)
    _reach(pending, events, gathered)
    raw, former = _raw(batch, gathered, judged, pending)
    fold, appended = _fold(gathered, events, judged.duplicate, pending)
    outcome = replace(
        batch.outcome,
        duplicates=batch.outcome.duplicates + judged.duplicates,
        unowned=int((gathered.row < 0).sum()),
        folded=len(fold.rows),
    )
    return Plan(gathered.rules, raw, former, fold, appended, pending, gathered.documents, batch.progress, outcome)


class _Judgement:
    """Which of the events that were looked up are duplicates, and which make their prosthesis a changed one."""

    def __init__(self, batch: Batch, gathered: Gathered, events: TelemetryColumns, pending: dict[int, PendingRecompute]) -> None:
        self._inserts = batch.inserts
        self._changes = batch.changes
        self._gathered = gathered
        self._events = events
        self._pending = pending
        self._in_flight = InFlight(events, gathered.looked_up, batch.changes)
        self.duplicate: Ints = np.zeros(len(events), dtype=bool)
        self.duplicates = 0
        self.former: dict[Identity, tuple[int, ...]] = {}

    def judge(self) -> None:
        for device, change in self._changes:
            self._replace(device, change)
        for i in self._gathered.looked_up.tolist():
            self._judge(i, self._gathered.known.get(identity_of(self._events, i)), self._in_flight.lsn_before(i))

    def _judge(self, i: int, known: KnownEvent | None, earlier: int | None) -> None:
        """*known*: what raw has of the event; *earlier*: the greatest LSN of it before this record in the batch."""
        lsn = int(self._events.lsn[i])
        if self._inserts.unversioned[i] and (known is not None or earlier is not None):
            self._take_snapshot_row(i, known, earlier)
        elif earlier is None and self._inserts.live[i] and known is not None and known.was_left_out_at(lsn):
            self._supersede(i, known)
        else:
            verdict = judge(lsn, int(self._gathered.folded_to[i]), known, earlier)
            if verdict is Verdict.DUPLICATE:
                self.duplicate[i] = True
                self.duplicates += 1
            elif verdict is Verdict.CHANGE:
                self._supersede(i, known)
                # Where what raw has is as new or newer: compute from that, and do not put this in its place.
                self.duplicate[i] = known is not None and known.lsn >= lsn

    def _take_snapshot_row(self, i: int, known: KnownEvent | None, earlier: int | None) -> None:
        """A row of an incremental snapshot takes the place of what is known of it, unless that is from later in the log: then this is a replay."""
        offset = int(self._events.offset[i])
        if known is not None and known.offset > offset:
            self.duplicate[i] = True
        elif known is not None and known.offset == offset:
            self._events.lsn[i] = known.lsn  # written by an attempt that came no further
        else:
            self._events.lsn[i] = rank_of_snapshot_row(known.lsn if known else 0, earlier or 0)
        self._supersede(i, known)

    def _replace(self, device: int, change: Change) -> None:
        """A change takes the place of what raw knows of the event, which need not be what it says was there: changes before it may never have come."""
        identity = change_identity(device, change)
        known = self._gathered.known.get(identity)
        if known is not None:
            work = pending_of(self._pending, device, change.record.offset)
            work.replace(instant for instant in known.instants if instant not in work.instants)
            told = {int(row.recorded_us[0]) for row in (change.removed, change.added) if row is not None}
            left = {*known.instants, *self.former.get(identity, ())} - told
            if left:
                self.former[identity] = tuple(sorted(left))

    def _supersede(self, i: int, known: KnownEvent | None) -> None:
        """The insert at *i* takes the place of what raw knows of the event, whose reports have to be computed anew.

        Its raw row says where that was: once it is written nothing else would tell, and a crash may come before the reports are.
        """
        identity = identity_of(self._events, i)
        work = pending_of(self._pending, identity[0], int(self._events.offset[i]))
        work.replace(known.instants if known is not None else ())
        if known is not None:
            left = {*known.instants, *self.former.get(identity, ())} - {int(self._events.recorded_us[i])}
            if left:
                self.former[identity] = tuple(sorted(left))


def _unseen(gathered: Gathered, events: TelemetryColumns) -> list[tuple[int, str, int, int]]:
    """Reports without a state of which raw has events (the state was pruned, or a crash came in between), with the last offset of their prosthesis."""
    return [(device, user, day, int(events.offset[events.device == device].max())) for device, day, user in gathered.unseen]


def _reach(pending: dict[int, PendingRecompute], events: TelemetryColumns, gathered: Gathered) -> None:
    """A work reaches as far as its prosthesis's last event, and covers the days of all of them."""
    if not pending:
        return
    for device, offset, report in zip(events.device.tolist(), events.offset.tolist(), gathered.report.tolist(), strict=True):
        if device in pending:
            pending[device].reach(offset)
            if report >= 0:
                pending[device].add_day(gathered.reports[report][1])


def _raw(
    batch: Batch, gathered: Gathered, judged: _Judgement, pending: Mapping[int, PendingRecompute]
) -> tuple[TelemetryColumns, list[tuple[int, ...]] | None]:
    """The raw rows to write, in the order of the log. Events that their state includes were written before it was."""
    events = judged._events
    wanted = ~judged.duplicate & (gathered.beyond | (gathered.row < 0) | _is_changed(events, pending))
    rows = events if wanted.all() else events.take(wanted)
    if batch.changes:
        rows = TelemetryColumns.concatenate([rows, *(raw_of(change, device) for device, change in batch.changes)])
        # In log order: of two rows of one event with the same LSN, the later one has to win.
        rows = rows.take(np.lexsort((rows.offset, rows.partition)))
    former = [judged.former.get(identity_of(rows, i), ()) for i in range(len(rows))] if judged.former else None
    return rows, former


def _fold(
    gathered: Gathered, events: TelemetryColumns, duplicate: Ints, pending: Mapping[int, PendingRecompute]
) -> tuple[Fold, frozenset[ReportId]]:
    """What is new of prostheses that only grew; their reports are written again, folded or not.

    But for one that includes records which this worker has not come to: it does not know whose report it is by then (``docs/architecture.md``, "Reports from ahead").
    """
    appended = (gathered.row >= 0) & ~_is_changed(events, pending)
    at = np.flatnonzero(appended & gathered.beyond & ~duplicate)
    if not (events.offset[at] > gathered.folded_to[at]).all():
        raise InvariantBroken("an event at or below what its state includes would be folded again")
    touched = np.flatnonzero(appended & (np.maximum(events.offset, gathered.handled) >= gathered.folded_to))
    fold = Fold(events if len(at) == len(events) else events.take(at), gathered.row[at], gathered.row[touched], events.offset[touched])
    return fold, frozenset(gathered.reports[k] for k in np.unique(gathered.report[touched]).tolist())


def _is_changed(events: TelemetryColumns, pending: Mapping[int, PendingRecompute]) -> Ints:
    return np.isin(events.device, list(pending)) if pending else np.zeros(len(events), dtype=bool)


class InFlight:
    """The events of a batch by identity, to find what came earlier in the log than one of them. LSNs are read when asked: ranks are given on the way."""

    def __init__(self, events: TelemetryColumns, at: Ints, changes: Sequence[tuple[int, Change]]) -> None:
        self._events = events
        wanted = {identity_of(events, i) for i in at.tolist()}
        self._inserts: dict[Identity, list[int]] = {}
        self._changes: dict[Identity, list[tuple[int, int]]] = {}
        if not wanted:
            return
        identities = zip(events.device.tolist(), events.event_id_hi.tolist(), events.event_id_lo.tolist(), strict=True)
        for i, identity in enumerate(identities):
            if identity in wanted:
                self._inserts.setdefault(identity, []).append(i)
        for device, change in changes:
            row = raw_of(change, device)
            self._changes.setdefault(identity_of(row, 0), []).append((int(row.offset[0]), int(row.lsn[0])))

    def lsn_before(self, i: int) -> int | None:
        """The greatest LSN of the same event earlier in the batch than the event at *i*, None if there is none."""
        events, identity, own = self._events, identity_of(self._events, i), int(self._events.offset[i])
        found = [int(events.lsn[k]) for k in self._inserts.get(identity, ()) if int(events.offset[k]) < own]
        found.extend(lsn for offset, lsn in self._changes.get(identity, ()) if offset < own)
        return max(found, default=None)

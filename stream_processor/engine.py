"""The engine: one batch of log records in, idempotent writes out.

Per prosthesis, a batch is one of two things. *Appended*: only new events; they are folded into the states of their reports. *Changed*: anything else (an
update, a delete, a new ownership document, a command, an event that raw knows otherwise); its events go to raw, and the reports concerned are computed anew from raw, up to
the prosthesis's last offset in the batch. Either way a report's content is a function of the log up to its version, so every order of
crashes and replays writes the same content under the same version.

What an erasure rule covers is left out first of all, whatever record brings it.

Order of effects: erasure rules, raw, reports (tombstones among them), states, ownership, progress. The caller acknowledges after ``process`` has returned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from schemas import commands
from schemas.commands import Command, Erase
from schemas.generations import FIRST_GENERATION
from schemas.mapping import SourceMapping
from schemas.raw_telemetry import Ints, TelemetryColumns
from stream_processor.batch import Batch, InFlight, identity_of, raw_of
from stream_processor.domain.decode import DeadLetter, Decoded, Document, LogDecoder, Progress, Record
from stream_processor.domain.devices import NOTHING, CellKey, Devices, Misplaced
from stream_processor.domain.duplicates import KnownEvent, Verdict, judge, suspects
from stream_processor.domain.ownership import OwnershipHistory
from stream_processor.domain.retention import ignore_purged, refuse_closed
from stream_processor.domain.states import StateCache
from stream_processor.erasures import Erasures
from stream_processor.ports import ReportStore, StoredOwnership, StoredProgress
from stream_processor.recompute import Recompute, Work
from stream_processor.reports import Reports


def every_day() -> int | None:
    """No day is closed."""
    return None


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """*topic_id* and *partitions* identify the log; *cached_states* bounds memory (about 2 KiB each); *generation* is the one that the store is.

    *first_open_day*: days of reports before it (since 1970-01-01) are closed, asked once a batch; *source_days*: deletes of older events are no corrections.
    """

    topic: str
    topic_id: str
    partitions: int
    cached_states: int = 20_000
    integer_event_ids: bool = True
    recompute_events: int = 200_000
    generation: int = FIRST_GENERATION
    first_open_day: Callable[[], int | None] = every_day
    source_days: int | None = None


@dataclass(slots=True)
class Outcome:
    """What a batch did, for metrics, and the dead letters the caller must deliver before it acknowledges."""

    dead: list[DeadLetter] = field(default_factory=list)
    records: int = 0
    folded: int = 0
    duplicates: int = 0
    lookups: int = 0
    unowned: int = 0
    erased: int = 0
    purged: int = 0
    closed_days: int = 0
    recomputed: int = 0
    reports: int = 0
    unfinished: frozenset[int] = frozenset()  # partitions with a recompute that goes on in later calls

    def add(self, part: Outcome) -> None:
        """Count what *part* of the same batch did too; it left nothing unfinished."""
        self.dead.extend(part.dead)
        for name in (f.name for f in fields(Outcome) if f.type == "int"):
            setattr(self, name, getattr(self, name) + getattr(part, name))


class Engine:
    """Not safe for concurrent calls; everything it remembers is a cache of the store, valid for one assignment (*epoch*)."""

    def __init__(self, store: ReportStore, mapping: SourceMapping, settings: EngineSettings) -> None:
        self._store = store
        self._settings = settings
        self._decoder = LogDecoder(mapping)
        self._epoch: int | None = None
        self.memory = 0
        """Changes whenever everything is forgotten: what was unfinished then has to be processed again from its records."""
        self.forget()

    def forget(self) -> None:
        """Drop every cache. Needed after a failed batch, and done at each new epoch."""
        self._as_of: dict[int, int] | None = None
        self._devices = Devices(self._settings.partitions)
        self._states = StateCache(self._settings.cached_states)
        self._reports = Reports(self._store, self._devices, self._states, integer_ids=self._settings.integer_event_ids)
        self._erasures = Erasures(self._store, self._devices)
        self._recompute = Recompute(self._store, self._devices, self._states, self._reports, self._erasures)
        self.memory += 1
        self._unfinished: dict[int, Work] = {}
        self._ownership: dict[int, StoredOwnership] = {}
        self._progress: dict[int, Progress] = {}

    def reload_erasures(self) -> None:
        """Take in erasure rules whose commands this worker has not reached. What is cached may hold what they cover, and is forgotten."""
        if self._erasures.reload():
            self.forget()

    def process(self, records: Sequence[Record], epoch: int, *, whole: bool = True) -> Outcome:
        """Handle *records* (offset order within each partition).

        Not *whole*: of a large recompute only a part, so that it holds up nobody else; ``Outcome.unfinished`` names its partition, whose records must not be acknowledged
        yet, these and later ones, and ``process`` is to be called again, without records if there are none. Until then the partition's progress stands still.

        Raises StoreUnavailable where the store fails; call ``forget`` and then process the same records again, any number of times.
        """
        self._enter(epoch)
        decoded = self._decoder.decode(records)
        return self._carry_out(decoded, Outcome(dead=decoded.dead, records=len(records)), whole=whole)

    def leave_out(self, record: Record, epoch: int, *, up_to: int | None) -> Outcome:
        """Go on past a record that cannot be processed, which the caller has made a dead letter. Idempotent; raises as ``process`` does.

        Attempts may have written its event to raw and folded it, and an update's former content is no longer what the source has: neither counts, in
        reports up to the offset *up_to*, which the attempts reached and up to which all other records have been processed. None: leave both.
        """
        self._enter(epoch)
        return self._carry_out(self._decoder.left_out(record, up_to=up_to), Outcome(records=1), whole=True)

    def _enter(self, epoch: int) -> None:
        if epoch != self._epoch:
            self.forget()
            self._epoch = epoch

    def _carry_out(self, decoded: Decoded, outcome: Outcome, *, whole: bool) -> Outcome:
        first_open_day = self._settings.first_open_day()
        if first_open_day is not None:
            refuse_closed(decoded, first_open_day)
        if self._settings.source_days is not None:
            outcome.purged = ignore_purged(decoded, self._settings.source_days)
        batch = self._sort_out(decoded, outcome)
        budget = None if whole else self._settings.recompute_events
        self._write(batch, decoded.progress, outcome, first_open_day, budget)
        self._states.evict()
        return outcome

    # -- deciding -------------------------------------------------------------------------------------------------------

    def _sort_out(self, decoded: Decoded, outcome: Outcome) -> Batch:
        """Everything that is decided before the first effect."""
        self._place_inserts(decoded, outcome)
        batch = Batch(decoded.inserts, self._unfinished)
        self._place_changes(decoded, batch, outcome)
        self._place_own_records(decoded, batch, outcome)
        self._leave_out_erased(batch, outcome)
        self._load_ownership(batch)
        self._accept_documents(batch)
        self._judge_inserts(batch, outcome)
        return batch

    def _place_inserts(self, decoded: Decoded, outcome: Outcome) -> None:
        inserts = decoded.inserts
        columns = inserts.columns
        columns.device, misplaced = self._devices.indices([record.key for record in inserts.records], inserts.ids, columns.partition)
        if misplaced:
            outcome.dead.extend(DeadLetter(inserts.records[i], "misplaced", reason) for i, reason in misplaced)
            good = columns.device >= 0
            inserts.columns, inserts.live, inserts.unversioned = columns.take(good), inserts.live[good], inserts.unversioned[good]

    def _place_changes(self, decoded: Decoded, batch: Batch, outcome: Outcome) -> None:
        for change in decoded.changes:
            device = self._place(change.record, change.prosthesis_id, outcome)
            if device is not None:
                batch.changes.append((device, change))
                batch.work(device, change.record.offset).add_change(change)

    def _place_own_records(self, decoded: Decoded, batch: Batch, outcome: Outcome) -> None:
        for item in decoded.documents:
            device = self._place(item.record, item.document.prosthesis_id, outcome)
            if device is not None:
                batch.documents.setdefault(device, []).append(item)
        for placed in decoded.commands:
            device = self._place(placed.record, placed.command.prosthesis_id, outcome)
            if device is not None and self._is_for_us(placed.command):
                batch.work(device, placed.record.offset).add_command(placed.command)
                if isinstance(placed.command, Erase):
                    self._erasures.accept(placed.command, placed.record, self._settings.topic_id)

        for retraction in decoded.retractions:
            device = self._place(retraction.record, retraction.prosthesis_id, outcome)
            if device is not None:
                work = batch.work(device, max(retraction.record.offset, retraction.reach))
                for instant in retraction.instants:
                    work.add_instant(instant)
                work.deletes.append((*retraction.event_id, retraction.record.offset, retraction.lsn))

    def _leave_out_erased(self, batch: Batch, outcome: Outcome) -> None:
        """What erasure rules cover is neither written nor folded, whatever brings it: it does not go on from here."""
        inserts = batch.inserts
        inside = self._erasures.inside(inserts.columns)
        if inside is not None:
            # A row of an incremental snapshot is how the source has it now: what raw has elsewhere of the same event has left there.
            for i in np.flatnonzero(inside & inserts.unversioned).tolist():
                events, offset = inserts.columns, int(inserts.columns.offset[i])
                batch.work(int(events.device[i]), offset).deletes.append(
                    (int(events.event_id_hi[i]), int(events.event_id_lo[i]), offset, None)
                )
            good = ~inside
            inserts.columns, inserts.live, inserts.unversioned = inserts.columns.take(good), inserts.live[good], inserts.unversioned[good]
            outcome.erased += int(inside.sum())
        left = [(device, change) for device, change in batch.changes if self._erasures.cut(device, change)]
        outcome.erased += len(batch.changes) - len(left)
        batch.changes = left

    def _is_for_us(self, command: Command) -> bool:
        """A recompute may be meant for one generation: the one being built, while another serves."""
        return not isinstance(command, commands.Recompute) or command.generation in {None, self._settings.generation}

    def _place(self, record: Record, prosthesis_id: Any, outcome: Outcome) -> int | None:
        try:
            return self._devices.index_of(record.key or b"", record.partition, prosthesis_id)
        except Misplaced as error:
            outcome.dead.append(DeadLetter(record, "misplaced", str(error)))
            return None

    def _load_ownership(self, batch: Batch) -> None:
        self._reports.load_ownership(np.concatenate([batch.inserts.columns.device, [*batch.works, *batch.documents]]).astype(np.int64))

    def _accept_documents(self, batch: Batch) -> None:
        """The newest document of each prosthesis, unless what is stored is as new: then its recompute has been done."""
        beginning = self._beginning(batch)
        for device, items in batch.documents.items():
            newest = max(items, key=lambda item: (item.document.crm_offset, item.record.offset))
            known = self._devices[device].history
            if known is not None and known.document.crm_offset >= newest.document.crm_offset:
                continue
            self._devices.set_history(device, OwnershipHistory(newest.document))
            # Up to the last document, not the newest: a re-sent older one must not split what the batch computes.
            for item in items if device not in beginning else ():
                batch.work(device, item.record.offset).add_all()
            self._ownership[device] = stored_ownership(newest)

    def _beginning(self, batch: Batch) -> set[int]:
        """Prostheses that begin with their first document: nothing came before it, so nothing has to be computed anew. Where a log is read from its beginning, these are nearly all."""
        if not self._settings.integer_event_ids:
            return set()
        new = np.array([d for d in batch.documents if d not in batch.works and self._devices[d].history is None], dtype=np.int64)
        bare = new[self._reports.highest_raw(new) == NOTHING].tolist()
        first = batch.first_inserts(len(self._devices))
        return {device for device in bare if max(item.record.offset for item in batch.documents[device]) < first[device]}

    def _judge_inserts(self, batch: Batch, outcome: Outcome) -> None:
        """Which inserts are appended, which are duplicates, and which make their prosthesis a changed one."""
        events = batch.inserts.columns
        cells, report = self._devices.cells(events.device, events.recorded_us)
        pages = [cell[:2] for cell in cells]
        self._states.make_room(pages)
        self._reports.load(pages)
        batch.cells, batch.report = cells, report
        slots = self._reports.slots_of(cells)
        batch.slot = np.where(report >= 0, slots[report], -1) if len(cells) else np.full(len(events), -1, np.int64)
        mark = np.where(batch.slot >= 0, self._states.mark[batch.slot], -1)
        batch.beyond = (batch.slot >= 0) & (events.offset > mark)
        batch.duplicate = np.zeros(len(events), dtype=bool)
        self._look_up(batch, mark, outcome)
        self._find_unseen_raw(batch)
        for device, offset, slot in (
            zip(events.device.tolist(), events.offset.tolist(), report.tolist(), strict=True) if batch.works else ()
        ):
            if device in batch.works:
                batch.works[device].reach(offset)
                if slot >= 0:
                    batch.works[device].add_day(cells[slot][1])

    def _look_up(self, batch: Batch, mark: Ints, outcome: Outcome) -> None:
        """Ask raw about the events that may have been seen before. In normal running there are none."""
        # A snapshot's row is also looked up where its prosthesis has changes in this batch (raw does not have those yet); one of an
        # incremental snapshot always: for the rank it is to be given, and because a mark does not tell whether the day it left was written.
        inserts = batch.inserts
        changed = ~inserts.live & np.isin(inserts.columns.device, list(batch.works))
        at = np.union1d(self._suspects(batch), np.flatnonzero(changed | inserts.unversioned))
        if not len(at):
            return
        outcome.lookups += len(at)
        events = batch.inserts.columns
        ids = [self._event_id(events, i) for i in at.tolist()]
        known = self._store.known_events(sorted(set(ids)))
        in_flight = InFlight(events, at, batch.changes)
        for i, event_id in zip(at.tolist(), ids, strict=True):
            earlier = in_flight.lsn_before(i)
            if batch.inserts.unversioned[i] and (event_id in known or earlier is not None):
                self._take_snapshot_row(batch, i, known.get(event_id), earlier)
                continue
            if earlier is None and inserts.live[i] and event_id in known and known[event_id].was_left_out_at(int(events.lsn[i])):
                batch.supersede(i, known[event_id])
                continue
            verdict = judge(int(events.lsn[i]), int(mark[i]), known.get(event_id), earlier)
            if verdict is Verdict.DUPLICATE:
                batch.duplicate[i] = True
                outcome.duplicates += 1
            elif verdict is Verdict.CHANGE:
                batch.supersede(i, known.get(event_id))
                # Where what raw has is as new or newer: compute from that, and do not put this in its place.
                batch.duplicate[i] = event_id in known and known[event_id].lsn >= int(events.lsn[i])

    def _take_snapshot_row(self, batch: Batch, i: int, known: KnownEvent | None, earlier: int | None) -> None:
        """A row of an incremental snapshot takes the place of what is known of it, unless that is from later in the log: then this is a replay.

        Its rank is that of what it replaces (the later write wins a tie), so that every later change is above it.
        """
        if known is not None and known.offset > int(batch.inserts.columns.offset[i]):
            batch.supersede(i, known)
            batch.duplicate[i] = True
            return
        events = batch.inserts.columns
        events.lsn[i] = max(known.lsn if known else 0, earlier or 0)
        batch.supersede(i, known)

    def _event_id(self, events: TelemetryColumns, i: int) -> tuple[str, int, int]:
        return self._devices[int(events.device[i])].prosthesis_id, int(events.event_id_hi[i]), int(events.event_id_lo[i])

    def _suspects(self, batch: Batch) -> Ints:
        beyond = np.flatnonzero(batch.beyond)
        if not self._settings.integer_event_ids or not len(beyond):
            return beyond
        events = batch.inserts.columns
        ids = events.event_id_lo[beyond].astype(np.int64)
        found = suspects(batch.report[beyond], ids, self._states.highest_id[batch.slot[beyond]])
        snapshot = ~batch.inserts.live[beyond]
        if snapshot.any():
            # A snapshot's row may be known under another day, from a change that never came: so look at the prosthesis as a whole.
            device = events.device[beyond]
            of_device = suspects(device, ids, self._reports.highest_raw(device))
            found = np.union1d(found, of_device[snapshot[of_device]])
        return beyond[found]

    def _find_unseen_raw(self, batch: Batch) -> None:
        """A report without a state may still have events in raw (its state was pruned, or a crash came in between): compute it from there."""
        if not batch.cells:
            return
        fresh = [k for k, cell in enumerate(batch.cells) if self._reports.is_fresh(cell)]
        if not fresh:
            return
        for cell in self._reports.with_raw([batch.cells[k] for k in fresh]):
            events = batch.inserts.columns
            last = int(events.offset[events.device == cell[0]].max())
            batch.work(cell[0], last).add_day(cell[1])

    # -- effects --------------------------------------------------------------------------------------------------------

    def _write(self, batch: Batch, progress: dict[int, Progress], outcome: Outcome, first_open_day: int | None, budget: int | None) -> None:
        self._erasures.write()
        self._write_raw(batch, outcome)
        outcome.reports = self._reports.write(self._append(batch, outcome))
        outcome.recomputed = self._recompute.run(batch.works, first_open_day, budget)
        outcome.closed_days = sum(work.refused for work in batch.works.values())
        for work in batch.works.values():
            work.refused = 0
        self._unfinished = {device: work for device, work in batch.works.items() if work.days}
        outcome.unfinished = frozenset(self._devices[device].partition for device in self._unfinished)
        self._write_ownership()
        self._write_progress(progress, outcome.unfinished)

    def _write_raw(self, batch: Batch, outcome: Outcome) -> None:
        events = batch.inserts.columns
        changed = np.isin(events.device, list(batch.works)) if batch.works else np.zeros(len(events), dtype=bool)
        unowned = batch.slot < 0
        outcome.unowned = int(unowned.sum())
        # Events at or below their state's mark were written before the state was.
        wanted = ~batch.duplicate & (batch.beyond | unowned | changed)
        rows = events if wanted.all() else events.take(wanted)
        if batch.changes:
            rows = TelemetryColumns.concatenate([rows, *(raw_of(change, device) for device, change in batch.changes)])
            # In log order: of two rows of one event with the same LSN, the later one has to win.
            rows = rows.take(np.lexsort((rows.offset, rows.partition)))
        if len(rows):
            former = [batch.former.get(identity_of(rows, i), ()) for i in range(len(rows))] if batch.former else None
            self._store.write_telemetry(self._devices.prosthesis_ids[rows.device], rows, former)
            self._reports.saw_raw(rows)

    def _append(self, batch: Batch, outcome: Outcome) -> set[CellKey]:
        """Fold what is new of prostheses that only grew; every report of the batch is written again, folded or not."""
        events = batch.inserts.columns
        grown = (batch.slot >= 0) & ~np.isin(events.device, list(batch.works)) if batch.works else batch.slot >= 0
        fold = np.flatnonzero(grown & batch.beyond & ~batch.duplicate)
        slots = batch.slot[fold]
        self._states.folds.fold(slots, events if len(fold) == len(events) else events.take(fold))
        at = np.flatnonzero(grown)
        np.maximum.at(self._states.mark, batch.slot[at], events.offset[at])
        if self._settings.integer_event_ids:
            np.maximum.at(self._states.highest_id, slots, events.event_id_lo[fold].astype(np.int64))
        outcome.folded = len(fold)
        return {batch.cells[k] for k in np.unique(batch.report[at]).tolist()}

    def _write_ownership(self) -> None:
        """A document is stored after the recompute that it causes, so that a crash repeats it."""
        done = [device for device in self._ownership if device not in self._unfinished]
        if done:
            self._store.write_ownership([self._ownership[device] for device in done])
        for device in done:
            del self._ownership[device]

    def _write_progress(self, progress: dict[int, Progress], unfinished: frozenset[int]) -> None:
        """How far each partition is, and the source's time there, which never goes back; of an unfinished one when it is finished."""
        for partition, new in progress.items():
            before = self._progress.get(partition)
            as_of = max(new.as_of_ms or 0, (before and before.as_of_ms) or 0)
            self._progress[partition] = Progress(partition, max(new.offset, before.offset if before else -1), as_of or None)
        ready = {partition: self._progress.pop(partition) for partition in self._progress.keys() - unfinished}
        if not ready:
            return
        if self._as_of is None:
            self._as_of = {row.partition: row.as_of_ms for row in self._store.progress(self._settings.topic)}
        for p in ready.values():
            self._as_of[p.partition] = max(self._as_of.get(p.partition, 0), p.as_of_ms or 0)
        self._store.write_progress([self._progress_row(p.partition, p.offset, self._as_of[p.partition]) for p in ready.values()])

    def _progress_row(self, partition: int, offset: int, as_of_ms: int) -> StoredProgress:
        return StoredProgress(self._settings.topic, partition, self._settings.topic_id, self._settings.partitions, offset, as_of_ms)


def stored_ownership(item: Document) -> StoredOwnership:
    """The row that makes a document the one in force."""
    document, record = item.document, item.record
    return StoredOwnership(document.prosthesis_id, document.crm_offset, record.partition, record.offset, record.value or b"")

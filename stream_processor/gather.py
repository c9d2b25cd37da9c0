"""Gathering: everything that has to be read of the store before a batch can be planned.

The order is that of dependence: erasure rules, then who owned what, then which reports the events belong to and what their states say, then what raw telemetry has of events that may
have been seen before. What is read stays in the assignment's caches, so that in normal running nothing is read at all. A recompute reads raw telemetry later, a window at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from schemas.erasure_rules import ErasureRule
from schemas.raw_telemetry import Ints
from stream_processor.assignment import Assignment
from stream_processor.batch import Batch, Identity, change_identity, first_offsets, identity_of
from stream_processor.domain.devices import NOTHING, ReportId
from stream_processor.domain.duplicates import KnownEvent, suspects
from stream_processor.domain.log_records import Document
from stream_processor.domain.ownership import OwnershipHistory
from stream_processor.ports import StoredOwnership


@dataclass(frozen=True, slots=True)
class Gathered:
    """What the store says about a batch.

    *reports*: those that its inserted events belong to. For each event: *report*, the index into them (−1: nobody owned it); *row*, where the report's state is
    cached; *folded_to*, the highest offset in that state; *beyond*, whether the event comes after it; *handled*, up to where its partition was handled when the assignment
    began. *looked_up*: events that may have been seen before, and
    *known* what raw has of them. *unseen*: reports without a state of which raw has events. *documents*: those accepted, by prosthesis; *rules*: erasure rules that are new.
    """

    reports: Sequence[ReportId]
    report: Ints
    row: Ints
    folded_to: Ints
    beyond: Ints
    handled: Ints
    looked_up: Ints
    known: Mapping[Identity, KnownEvent]
    unseen: Sequence[ReportId]
    documents: Mapping[int, StoredOwnership]
    rules: Sequence[ErasureRule]


def gather(batch: Batch, assignment: Assignment, topic: str, topic_id: str) -> Gathered:
    """Read what *batch* needs. Leaves out of it what erasure rules cover, and adds the recomputes that accepted documents ask for. Raises what the store raises."""
    _load_progress(assignment, topic)  # before who owned what: that is then at least as new
    rules = [assignment.erasures.accept(command, record, topic_id) for command, record in batch.erasures]
    _leave_out_erased(batch, assignment)
    documents = _accept_documents(batch, assignment)
    events, states = batch.inserts.columns, assignment.states
    reports, report = assignment.devices.reports_of(events.device, events.recorded_us)
    pages = [one[:2] for one in reports]
    states.make_room(pages)
    assignment.reports.load(pages)
    rows = assignment.reports.rows_of(reports)
    row = np.where(report >= 0, rows[report], -1) if reports else np.full(len(events), -1, np.int64)
    folded_to = np.where(row >= 0, states.folded_to[row], -1)
    beyond = (row >= 0) & (events.offset > folded_to)
    looked_up = _to_look_up(batch, assignment, row, beyond)
    fresh = [one for one in reports if assignment.reports.is_fresh(one)]
    unseen = assignment.reports.with_raw(fresh) if fresh else []
    handled = _handled(assignment, events.partition)
    known = _look_up(batch, assignment, looked_up)
    return Gathered(reports, report, row, folded_to, beyond, handled, looked_up, known, unseen, documents, rules)


def _load_progress(assignment: Assignment, topic: str) -> None:
    if assignment.as_of is None:
        rows = assignment.store.progress(topic)
        assignment.as_of = {row.partition: row.as_of_ms for row in rows}
        assignment.handled = {row.partition: row.handled_offset for row in rows}


def _handled(assignment: Assignment, partitions: Ints) -> Ints:
    found, index = np.unique(partitions, return_inverse=True)
    return np.array([assignment.handled.get(partition, -1) for partition in found.tolist()], dtype=np.int64)[index]


def _leave_out_erased(batch: Batch, assignment: Assignment) -> None:
    """What erasure rules cover is neither written nor folded, whatever brings it: it does not go on from here."""
    inserts = batch.inserts
    inside = assignment.erasures.inside(inserts.columns)
    if inside is not None:
        # A snapshot's row is how the source has it now: what raw has elsewhere of the same event has left there.
        for i in np.flatnonzero(inside & ~inserts.live).tolist():
            device, high, low = identity_of(inserts.columns, i)
            offset, lsn = int(inserts.columns.offset[i]), None if inserts.unversioned[i] else int(inserts.columns.lsn[i])
            batch.work(device, offset).delete(high, low, offset, lsn)
        inserts.keep(~inside)
        batch.outcome.erased += int(inside.sum())
    left = []
    for device, change in batch.changes:
        identity, lsn = change_identity(device, change), change.lsn
        if assignment.erasures.cut(device, change):
            left.append((device, change))
        else:
            # What raw has of the event may lie elsewhere: a change before this one may never have come.
            batch.work(device, change.record.offset).delete(*identity[1:], change.record.offset, lsn)
    batch.outcome.erased += len(batch.changes) - len(left)
    batch.changes = left


def _accept_documents(batch: Batch, assignment: Assignment) -> dict[int, StoredOwnership]:
    """The newest document of each prosthesis, unless what is stored is as new: then its recompute has been done."""
    concerned = np.concatenate([batch.inserts.columns.device, [*batch.pending, *batch.documents]]).astype(np.int64)
    assignment.reports.load_ownership(concerned)
    beginning = _beginning(batch, assignment)
    accepted: dict[int, StoredOwnership] = {}
    for device, items in batch.documents.items():
        newest = max(items, key=lambda item: (item.document.crm_offset, item.record.offset))
        known = assignment.devices[device].history
        if known is not None and known.document.crm_offset >= newest.document.crm_offset:
            continue
        assignment.devices.set_history(device, OwnershipHistory(newest.document))
        if device not in beginning:
            # Up to the last document, not the newest: a re-sent older one must not split what the batch computes.
            work = batch.work(device, max(item.record.offset for item in items))
            work.add_all()
            work.former += _former(known, items)
        accepted[device] = stored_ownership(newest)
    return accepted


def _former(known: OwnershipHistory | None, items: Sequence[Document]) -> list[OwnershipHistory]:
    """Who owned what for a part of a batch with the documents *items*: what was *known* before, and each that another one took the place of."""
    histories = [] if known is None else [known]
    for item in sorted(items, key=lambda item: item.record.offset):
        if not histories or item.document.crm_offset > histories[-1].document.crm_offset:
            histories.append(OwnershipHistory(item.document))
    return histories[:-1]


def _beginning(batch: Batch, assignment: Assignment) -> set[int]:
    """Prostheses that begin with their first document: nothing came before it, so nothing has to be computed anew. Where a log is read from its beginning, these are nearly all."""
    if not assignment.integer_ids:
        return set()
    without = (device for device in batch.documents if device not in batch.pending and assignment.devices[device].history is None)
    new = np.fromiter(without, np.int64)
    bare = new[assignment.reports.highest_raw(new) == NOTHING].tolist()
    first = first_offsets(batch.inserts.columns, len(assignment.devices))
    return {device for device in bare if max(item.record.offset for item in batch.documents[device]) < first[device]}


def _to_look_up(batch: Batch, assignment: Assignment, row: Ints, beyond: Ints) -> Ints:
    """Events that may have been seen before. In normal running there are none."""
    inserts = batch.inserts
    # A snapshot's row is also looked up where its prosthesis has changes in this batch (raw does not have those yet); one of an
    # incremental snapshot always: for the rank it is to be given, and because a state does not tell whether the day it left was written.
    changed = ~inserts.live & np.isin(inserts.columns.device, list(batch.pending))
    # And it may have left a report for a time at which nobody owned the prosthesis.
    asked = beyond | (~inserts.live & (row < 0))
    # A fold that was left between two parts of raw holds as long as only news come: there a mark is no proof, it may be from ahead.
    folding = [device for device, work in batch.pending.items() if work.fold is not None]
    if folding:
        asked |= np.isin(inserts.columns.device, folding)
    suspected = _suspects(batch, assignment, np.flatnonzero(asked))
    return np.union1d(suspected, np.flatnonzero(changed | inserts.unversioned))


def _suspects(batch: Batch, assignment: Assignment, at: Ints) -> Ints:
    """Held against all that raw has of the prosthesis, not of the report: the event may be known under another day, and its day may have been another owner's in another zone."""
    if not assignment.integer_ids or not len(at):
        return at
    events = batch.inserts.columns
    device = events.device[at]
    return at[suspects(device, events.event_id_lo[at].astype(np.int64), assignment.reports.highest_raw(device))]


def _look_up(batch: Batch, assignment: Assignment, at: Ints) -> dict[Identity, KnownEvent]:
    """What raw has of the events at the positions *at*, and of those that changes are about: what a change says was there need not be what is known."""
    ids = {identity_of(batch.inserts.columns, i) for i in at.tolist()} | {
        change_identity(device, change) for device, change in batch.changes
    }
    if not ids:
        return {}
    batch.outcome.lookups += len(at)
    asked = {(assignment.devices[device].prosthesis_id, high, low): (device, high, low) for device, high, low in ids}
    return {asked[event_id]: known for event_id, known in assignment.store.known_events(sorted(asked)).items()}


def stored_ownership(item: Document) -> StoredOwnership:
    """The row that makes a document the one in force."""
    document, record = item.document, item.record
    return StoredOwnership(document.prosthesis_id, document.crm_offset, record.partition, record.offset, record.value or b"")

"""A batch of the log whose records have found their prostheses. Pure, but that prostheses not seen before are given an index."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from schemas.commands import Command, Erase
from schemas.raw_telemetry import Ints, TelemetryColumns
from stream_processor.domain.devices import Devices, Misplaced
from stream_processor.domain.log_records import Change, DeadLetter, Decoded, Document, Inserts, Progress, Record
from stream_processor.outcome import Outcome
from stream_processor.pending import PendingRecompute

Identity = tuple[int, int, int]
"""(device, high half, low half) of an event."""


@dataclass(slots=True)
class Batch:
    """What a batch holds, by prosthesis (its index in ``Devices``). *pending*: what has to be computed anew whatever the store says, what is unfinished of earlier batches among it.

    *erasures*: the commands whose rules begin to hold here. *outcome*: dead letters and counts so far.
    """

    inserts: Inserts
    progress: dict[int, Progress]
    pending: dict[int, PendingRecompute]
    outcome: Outcome
    changes: list[tuple[int, Change]] = field(default_factory=list)
    documents: dict[int, list[Document]] = field(default_factory=dict)
    erasures: list[tuple[Erase, Record]] = field(default_factory=list)

    def work(self, device: int, offset: int) -> PendingRecompute:
        """The recompute of a prosthesis, reaching at least *offset*."""
        return pending_of(self.pending, device, offset)


def pending_of(pending: dict[int, PendingRecompute], device: int, offset: int) -> PendingRecompute:
    """The work of *device*, made where there is none, reaching at least *offset*."""
    work = pending.get(device)
    if work is None:
        work = pending[device] = PendingRecompute(offset)
    work.reach(offset)
    return work


def place(
    decoded: Decoded, devices: Devices, unfinished: dict[int, PendingRecompute], outcome: Outcome, is_for_us: Callable[[Command], bool]
) -> Batch:
    """Find the prosthesis of each record; one whose key or partition is another's becomes a dead letter. *is_for_us*: commands may be meant for another generation."""
    _place_inserts(decoded.inserts, devices, outcome)
    pending = {device: work.copy() for device, work in unfinished.items()}
    batch = Batch(decoded.inserts, decoded.progress, pending, outcome)

    def find(record: Record, prosthesis_id: Any) -> int | None:
        try:
            return devices.index_of(record.key or b"", record.partition, prosthesis_id)
        except Misplaced as error:
            outcome.dead.append(DeadLetter(record, "misplaced", str(error)))
            return None

    for change in decoded.changes:
        if (device := find(change.record, change.prosthesis_id)) is not None:
            batch.changes.append((device, change))
            batch.work(device, change.record.offset).add_change(change)
    for item in decoded.documents:
        if (device := find(item.record, item.document.prosthesis_id)) is not None:
            batch.documents.setdefault(device, []).append(item)
    for placed in decoded.commands:
        if (device := find(placed.record, placed.command.prosthesis_id)) is not None and is_for_us(placed.command):
            batch.work(device, placed.record.offset).add_command(placed.command)
            if isinstance(placed.command, Erase):
                batch.erasures.append((placed.command, placed.record))
    for retraction in decoded.retractions:
        if (device := find(retraction.record, retraction.prosthesis_id)) is not None:
            batch.work(device, max(retraction.record.offset, retraction.reach)).add_retraction(retraction)
    return batch


def _place_inserts(inserts: Inserts, devices: Devices, outcome: Outcome) -> None:
    columns = inserts.columns
    columns.device, misplaced = devices.indices([record.key for record in inserts.records], inserts.ids, columns.partition)
    if misplaced:
        outcome.dead.extend(DeadLetter(inserts.records[i], "misplaced", reason) for i, reason in misplaced)
        inserts.keep(columns.device >= 0)


def identity_of(events: TelemetryColumns, i: int) -> Identity:
    return int(events.device[i]), int(events.event_id_hi[i]), int(events.event_id_lo[i])


def change_identity(device: int, change: Change) -> Identity:
    """Of the event that a change is about."""
    row = change.added if change.added is not None else change.removed
    if row is None:
        raise ValueError("a change without content")
    return device, int(row.event_id_hi[0]), int(row.event_id_lo[0])


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


def first_offsets(events: TelemetryColumns, devices: int) -> Ints:
    """The offset of the first event of each of *devices* prostheses; beyond every offset where there is none."""
    first: Ints = np.full(devices, np.iinfo(np.int64).max)
    np.minimum.at(first, events.device, events.offset)
    return first

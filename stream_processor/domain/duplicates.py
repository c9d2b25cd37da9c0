"""Which events are new, which may have been seen before, and what a look-up says of those."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np

from schemas.raw_telemetry import Ints

EventId = tuple[str, int, int]  # (prosthesis_id, high half, low half)


@dataclass(frozen=True, slots=True)
class KnownEvent:
    """What raw has of one event. *former*: times that it was found under before; a report that has it there may not have been written again yet."""

    lsn: int
    offset: int
    recorded_us: int
    deleted: bool
    former: tuple[int, ...] = ()

    def was_left_out_at(self, lsn: int) -> bool:
        """Whether a live insert of this *lsn* was left out as poison: a delete of the source is another change, with an LSN above its insert's."""
        return self.deleted and self.lsn == lsn

    @property
    def instants(self) -> tuple[int, ...]:
        """All times under which a report may have the event."""
        return (self.recorded_us, *self.former)


class Verdict(Enum):
    NEW = "new"
    DUPLICATE = "duplicate"
    CHANGE = "change"


def suspects(device: Ints, ids: Ints, highest: Ints) -> Ints:
    """Positions of events that may have been seen before.

    *device* is the prosthesis of each event, *ids* its event id, *highest* the highest id that raw has of its prosthesis, on any day; events of one
    prosthesis are in log order. An event whose id is above the highest and above all earlier ones of its prosthesis is new without a look-up.
    """
    if not len(device):
        return np.zeros(0, np.int64)
    order = np.argsort(device, kind="stable")
    sorted_device, sorted_ids = device[order], ids[order]
    first = np.r_[True, sorted_device[1:] != sorted_device[:-1]]
    before = np.where(first, highest[order], np.r_[np.int64(-1), sorted_ids[:-1]])
    if (sorted_ids > before).all():
        return np.zeros(0, np.int64)
    return np.sort(order[~_above_all_earlier(sorted_device, sorted_ids, highest[order])])


def _above_all_earlier(device: Ints, ids: Ints, highest: Ints) -> Ints:
    """For events sorted by prosthesis: whether each id is above the highest of its prosthesis and all ids before it."""
    above = np.empty(len(ids), dtype=bool)
    current, top = None, -1
    for i, (one, event_id, high) in enumerate(zip(device.tolist(), ids.tolist(), highest.tolist(), strict=True)):
        if one != current:
            current, top = one, high
        above[i] = event_id > top
        top = max(top, event_id)
    return above


def judge(lsn: int, mark: int, known: KnownEvent | None, in_flight_lsn: int | None) -> Verdict:
    """What a suspect is. *in_flight_lsn*: the greatest LSN of the same id earlier in the same batch."""
    if in_flight_lsn is not None and in_flight_lsn >= lsn:
        return Verdict.DUPLICATE
    if known is not None and known.lsn >= lsn and known.offset <= mark:
        return Verdict.DUPLICATE
    return Verdict.NEW if known is None and in_flight_lsn is None else Verdict.CHANGE


def rank_of_snapshot_row(*replaced: int) -> int:
    """The LSN that a row of an incremental snapshot is given: just above the greatest of those it takes the place of.

    It has none of its own. Whatever was told before it and comes again is below, and every change that is made later is above: between the LSNs of two
    changes of one row lies at least the first one's record in the WAL, which is many bytes long, and each snapshot of the row writes more.
    """
    return max(replaced) + 1

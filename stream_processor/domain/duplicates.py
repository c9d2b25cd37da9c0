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


def suspects(group: Ints, ids: Ints, highest: Ints) -> Ints:
    """Positions of events that may have been seen before.

    *group* is the report of each event, *ids* its event id, *highest* the highest id that each event's state has seen; events of one group are
    in log order. An event whose id is above the highest and above all earlier ones of its group is new without a look-up.
    """
    if not len(group):
        return np.zeros(0, np.int64)
    order = np.argsort(group, kind="stable")
    sorted_group, sorted_ids = group[order], ids[order]
    first = np.r_[True, sorted_group[1:] != sorted_group[:-1]]
    before = np.where(first, highest[order], np.r_[np.int64(-1), sorted_ids[:-1]])
    if (sorted_ids > before).all():
        return np.zeros(0, np.int64)
    return np.sort(order[~_above_all_earlier(sorted_group, sorted_ids, highest[order])])


def _above_all_earlier(group: Ints, ids: Ints, highest: Ints) -> Ints:
    """For sorted groups: whether each id is above its group's highest and all ids before it."""
    above = np.empty(len(ids), dtype=bool)
    current, top = None, -1
    for i, (g, event_id, high) in enumerate(zip(group.tolist(), ids.tolist(), highest.tolist(), strict=True)):
        if g != current:
            current, top = g, high
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

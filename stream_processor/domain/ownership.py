"""Who owned a prosthesis when: contracts in the CRM become disjoint intervals, intervals answer for instants and days."""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import msgspec

from schemas.ownership import Ownership, OwnershipDocument
from schemas.ranges import OUTERMOST_US
from stream_processor.domain.calendar import LocalDay, day_of_date
from stream_processor.domain.contracts import Rank

FOREVER_US = OUTERMOST_US


@dataclass(frozen=True, slots=True)
class Contract:
    """A contract with its customer's attributes; *rank* says which of those that hold wins."""

    rank: Rank
    interval: Ownership


def effective_intervals(contracts: Iterable[Contract]) -> tuple[Ownership, ...]:
    """Disjoint, sorted intervals: where contracts overlap, the later start wins, then the higher id.

    Sweeps over the starts and ends; at each elementary interval the winner is the greatest (start, id) among those that hold.
    Neighbours of the same contract are joined again.
    """
    valid = [c for c in contracts if c.interval.ends_us is None or c.interval.ends_us > c.interval.starts_us]
    bounds = sorted({c.interval.starts_us for c in valid} | {_end(c.interval) for c in valid})
    pieces: list[Ownership] = []
    for begin, end in itertools.pairwise(bounds):
        holding = [c for c in valid if c.interval.starts_us <= begin and _end(c.interval) >= end]
        if not holding:
            continue
        winner = max(holding, key=lambda c: (c.interval.starts_us, c.rank)).interval
        if pieces and pieces[-1].ends_us == begin and pieces[-1].contract_id == winner.contract_id:
            begin = pieces.pop().starts_us  # noqa: PLW2901 - the joined piece begins where its first part did
        pieces.append(_cut(winner, begin, end))
    return tuple(pieces)


def in_one_zone(intervals: Iterable[Ownership]) -> tuple[Ownership, ...]:
    """One user's intervals of a prosthesis all in the time zone of the first: its reports have one cut, also where several customers are one user."""
    zones: dict[str, str] = {}
    return tuple(msgspec.structs.replace(i, timezone=zones.setdefault(i.user_id, i.timezone)) for i in intervals)


def _end(interval: Ownership) -> int:
    return FOREVER_US if interval.ends_us is None else interval.ends_us


def _extent(interval: Ownership) -> tuple[str, str, int, int]:
    """Which reports an interval leads to."""
    return interval.user_id, interval.timezone, interval.starts_us, _end(interval)


def _cut(interval: Ownership, begin: int, end: int) -> Ownership:
    return Ownership(
        begin,
        None if end == FOREVER_US else end,
        interval.user_id,
        interval.customer_id,
        interval.customer_name,
        interval.timezone,
        interval.contract_id,
        interval.contract_number,
    )


class OwnershipHistory:
    """A document, ready to be asked."""

    __slots__ = ("_starts", "document")

    def __init__(self, document: OwnershipDocument) -> None:
        # Said of whatever wrote the document: a day that is cut in one zone and counted in another would be another report's.
        self.document = msgspec.structs.replace(document, intervals=in_one_zone(document.intervals))
        self._starts = [interval.starts_us for interval in document.intervals]

    def at(self, instant_us: int) -> Ownership | None:
        """The interval that holds at an instant, or None."""
        return self.around(instant_us)[0]

    def around(self, instant_us: int) -> tuple[Ownership | None, int, int]:
        """The interval that holds at an instant, or None, and the half-open range of instants for which that is the answer."""
        i = bisect_right(self._starts, instant_us) - 1
        if i >= 0 and instant_us < _end(self.document.intervals[i]):
            interval = self.document.intervals[i]
            return interval, interval.starts_us, _end(interval)
        begin = _end(self.document.intervals[i]) if i >= 0 else -FOREVER_US
        return None, begin, self._starts[i + 1] if i + 1 < len(self._starts) else FOREVER_US

    def parts_unlike(self, other: OwnershipHistory | None, days: Iterable[int]) -> Iterator[tuple[str, int, int, int]]:
        """User, day, and the half-open part of the day that is theirs: of every report that there may be on local *days* by intervals that *other* has not."""
        known = set() if other is None else {_extent(interval) for interval in other.document.intervals}
        for interval in self.document.intervals:
            if _extent(interval) not in known:
                for number in days:
                    day = day_of_date(interval.timezone, number)
                    begin, end = max(interval.starts_us, day.starts_us), min(_end(interval), day.ends_us)
                    if begin < end:
                        yield interval.user_id, number, begin, end

    def of_day(self, user_id: str, day: LocalDay) -> Ownership | None:
        """The user's interval that gives the day its contract: the latest-beginning one that intersects it."""
        for interval in reversed(self.document.intervals):
            if interval.user_id == user_id and interval.starts_us < day.ends_us and _end(interval) > day.starts_us:
                return interval
        return None

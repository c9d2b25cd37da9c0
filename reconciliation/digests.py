"""Telemetry by prosthesis and UTC day, as a count and a checksum: enough to know which days are alike without reading their events. Pure.

A day of a prosthesis that is unlike is read by id, but where raw lacks most of it and there are many such days: these are *gaps*, to be read again whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby
from typing import NamedTuple

from reconciliation.alignment import aligned
from reconciliation.day_range import DayRange

ProsthesisDay = tuple[str, int]
"""A prosthesis, and a UTC day as the number of days since 1970-01-01."""
PROSTHESES_PER_CONDITION = 1_000
_EPOCH = date(1970, 1, 1)


class Digest(NamedTuple):
    """*checksum*: the sum of the events' hashes, modulo 2^64, in decimal."""

    events: int
    checksum: str


DayDigest = tuple[ProsthesisDay, Digest]
NOTHING = Digest(0, "0")


class Gap(NamedTuple):
    """How many events of a prosthesis's day PostgreSQL has, and how many raw telemetry."""

    source: int
    raw: int

    @property
    def missing(self) -> int:
        return self.source - self.raw


@dataclass(frozen=True)
class Unlike:
    """Days of prostheses that are not alike: *gaps*, and the others with the number of their events on either side, at most."""

    gaps: Mapping[ProsthesisDay, Gap]
    by_id: Mapping[ProsthesisDay, int]


def unlike(source: Iterable[DayDigest], raw: Iterable[DayDigest], gap_rows: int) -> Unlike:
    """What is to be looked at closer. Gaps are so only where *gap_rows* events or more are missing in them together.

    Both sides come in the order of their keys; nothing but what differs is kept of them. Raises OrderError.
    """
    both = aligned(source, raw)
    counts = {key: Gap((mine or NOTHING).events, (theirs or NOTHING).events) for key, mine, theirs in both if mine != theirs}
    gaps = {key: gap for key, gap in counts.items() if 2 * gap.raw < gap.source}
    if sum(gap.missing for gap in gaps.values()) < gap_rows:
        gaps = {}
    return Unlike(gaps, {key: max(gap) for key, gap in counts.items() if key not in gaps})


def portions(by_id: Mapping[ProsthesisDay, int], most_events: int) -> Iterator[frozenset[ProsthesisDay]]:
    """The days of *by_id*, all of a prosthesis together, in portions of at most *most_events* events, or of one prosthesis where that has more."""
    portion: set[ProsthesisDay] = set()
    held = 0
    for _, keys in groupby(sorted(by_id), key=lambda key: key[0]):
        days = list(keys)
        count = sum(by_id[day] for day in days)
        if portion and held + count > most_events:
            yield frozenset(portion)
            portion, held = set(), 0
        portion.update(days)
        held += count
    if portion:
        yield frozenset(portion)


def conditions(gaps: Iterable[ProsthesisDay]) -> Iterator[tuple[DayRange, tuple[str, ...]]]:
    """UTC days and the prostheses whose rows of these days are to be read again: as few of them as neighbouring days with the same prostheses allow."""
    of_day: dict[int, list[str]] = {}
    for prosthesis, day in sorted(gaps, key=lambda key: (key[1], key[0])):
        of_day.setdefault(day, []).append(prosthesis)
    first: int | None = None
    for day, prostheses in of_day.items():
        first = day if first is None else first
        if of_day.get(day + 1) == prostheses:
            continue
        for at in range(0, len(prostheses), PROSTHESES_PER_CONDITION):
            yield DayRange(_date(first), _date(day)), tuple(prostheses[at : at + PROSTHESES_PER_CONDITION])
        first = None


def _date(number: int) -> date:
    return _EPOCH + timedelta(days=number)

"""Erasure, decided without I/O: which time of a prosthesis was the erased person's, and which events lie in it."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from schemas.raw_telemetry import Ints
from stream_processor.domain.contracts import Rank
from stream_processor.domain.ownership import FOREVER_US, Contract

Interval = tuple[int, int]
"""Microseconds since the epoch, half-open."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A contract of the erased customer, live or deleted. *contends*: against other people's contracts it holds by the usual rule of overlaps.

    One that was deleted long before its customer does not: the CRM had taken it back, so it counts only where nobody else owns the prosthesis.
    """

    rank: Rank
    starts_us: int
    ends_us: int | None
    contends: bool


def erased_intervals(claims: Iterable[Claim], others: Iterable[Contract], moment_us: int) -> tuple[Interval, ...]:
    """The time up to *moment_us* that the claims give to the erased customer, and that is not another's: disjoint, sorted, joined.

    Where contracts overlap, the later start wins, then the higher id; *others* are the live contracts of all other customers.
    """
    mine = [c for c in claims if _end(c.ends_us) > c.starts_us]
    theirs = [c for c in others if _end(c.interval.ends_us) > c.interval.starts_us]
    contenders = [(c.starts_us, c.rank, _end(c.ends_us), True) for c in mine if c.contends]
    contenders += [(c.interval.starts_us, c.rank, _end(c.interval.ends_us), False) for c in theirs]
    bounds = {c.starts_us for c in mine} | {_end(c.ends_us) for c in mine} | {c[0] for c in contenders} | {c[2] for c in contenders}
    pieces: list[Interval] = []
    for begin, end in itertools.pairwise(sorted(bounds)):
        holding = [c for c in contenders if c[0] <= begin and c[2] >= end]
        claimed = any(c.starts_us <= begin and _end(c.ends_us) >= end for c in mine)
        if begin < moment_us and claimed and (not holding or max(holding)[3]):
            joined = pieces.pop()[0] if pieces and pieces[-1][1] == begin else begin
            pieces.append((joined, min(end, moment_us)))
    return tuple(pieces)


def _end(ends_us: int | None) -> int:
    return FOREVER_US if ends_us is None else ends_us


class ErasedTimes:
    """The intervals of all rules, by prosthesis. More rules of one prosthesis add up."""

    def __init__(self, intervals: Mapping[str, Sequence[Interval]] | None = None) -> None:
        self._of: dict[str, list[Interval]] = {}
        for prosthesis_id, given in (intervals or {}).items():
            self.add(prosthesis_id, given)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ErasedTimes) and self._of == other._of

    __hash__ = None  # type: ignore[assignment]  # it grows

    def add(self, prosthesis_id: str, intervals: Iterable[Interval]) -> None:
        known = self._of.get(prosthesis_id, [])
        # In one order, whichever way the rules came.
        self._of[prosthesis_id] = sorted({*known, *intervals})

    def prostheses(self) -> Iterable[str]:
        return self._of.keys()

    def covers(self, prosthesis_id: str, instant_us: int) -> bool:
        """Whether the instant is erased."""
        return any(begin <= instant_us < end for begin, end in self._of.get(prosthesis_id, ()))

    def cover(self, prosthesis_id: str, instants_us: Ints) -> Ints:
        """Which of the instants are erased, as a mask."""
        mask = np.zeros(len(instants_us), dtype=bool)
        for begin, end in self._of.get(prosthesis_id, ()):
            mask |= (instants_us >= begin) & (instants_us < end)
        return mask

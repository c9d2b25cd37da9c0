"""Raw telemetry in ClickHouse against PostgreSQL, by id. Which events differ is decided here, without I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import NamedTuple
from uuid import UUID

from reconciliation.digests import Gap, ProsthesisDay
from reconciliation.mart import Position

Content = tuple[int | str, ...]
"""Time in microseconds, facets, and the values of ``sql/events.sql`` in its order."""

_HALF = (1 << 64) - 1


class EventKey(NamedTuple):
    """One event of the source: the prosthesis, and its id in the halves that the raw table holds."""

    prosthesis_id: str
    high: int
    low: int


@dataclass(frozen=True)
class RawEvent:
    content: Content
    position: Position


@dataclass(frozen=True)
class RawDifference:
    """*missing*: only PostgreSQL has it; *different*: both have it, not alike; *surplus*: only the raw table has it."""

    missing: Mapping[EventKey, Content]
    different: Mapping[EventKey, Content]
    surplus: Mapping[EventKey, Content]
    gaps: Mapping[ProsthesisDay, Gap] = field(default_factory=dict)
    """Days of prostheses of which raw lacks most or all, too many events to name."""
    cut_after: date | None = None
    """The last day that was looked at, where there was too much to look at more."""

    def __bool__(self) -> bool:
        return bool(self.missing or self.different or self.surplus or self.gaps)

    def __len__(self) -> int:
        return len(self.missing) + len(self.different) + len(self.surplus)

    @property
    def missing_events(self) -> int:
        """How many events only PostgreSQL has, those of gaps included."""
        return len(self.missing) + sum(gap.missing for gap in self.gaps.values())

    def counts(self) -> dict[str, int]:
        """For people and JSON."""
        return {"missing": self.missing_events, "different": len(self.different), "surplus": len(self.surplus)}

    def joined(self, other: RawDifference) -> RawDifference:
        """Both together."""
        return RawDifference(
            {**self.missing, **other.missing},
            {**self.different, **other.different},
            {**self.surplus, **other.surplus},
            {**self.gaps, **other.gaps},
        )

    def still(self, later: RawDifference) -> RawDifference:
        """What of *later* was there before too: what only moved is in one of two looks."""
        before = {*self.missing, *self.different, *self.surplus}
        return replace(
            later,
            missing={key: content for key, content in later.missing.items() if key in before},
            different={key: content for key, content in later.different.items() if key in before},
            surplus={key: content for key, content in later.surplus.items() if key in before},
            gaps={key: gap for key, gap in later.gaps.items() if key in self.gaps},
        )


NO_DIFFERENCE = RawDifference({}, {}, {})


def event_key(prosthesis_id: str, event_id: str) -> EventKey:
    """The key of an event whose id PostgreSQL writes as *event_id*: a decimal integer or a UUID."""
    number = int(event_id) if event_id.lstrip("-").isdigit() else UUID(event_id).int
    return EventKey(prosthesis_id, number >> 64 & _HALF, number & _HALF)


def source_id(key: EventKey, id_type: str) -> str:
    """The id as PostgreSQL writes it."""
    number = key.high << 64 | key.low
    return str(UUID(int=number)) if id_type == "uuid" else str(number)


def compare_raw(source: Mapping[EventKey, Content], raw: Mapping[EventKey, RawEvent], barrier: Mapping[int, int]) -> RawDifference:
    """What must change in *raw* to be like *source*, a snapshot closed by *barrier*. Rows from beyond the barrier are in motion and left alone."""
    unmoved = {key: event for key, event in raw.items() if event.position.version <= barrier.get(event.position.partition, -1)}
    return RawDifference(
        missing={key: content for key, content in source.items() if key not in raw},
        different={key: source[key] for key, event in unmoved.items() if key in source and source[key] != event.content},
        surplus={key: event.content for key, event in unmoved.items() if key not in source},
    )


def settled(found: RawDifference, in_source: Mapping[EventKey, Content], in_raw: Mapping[tuple[str, int, int], Content]) -> RawDifference:
    """*found* within ranges of time, corrected by what either side has under the same ids at any time.

    *in_source*: those of the surplus that PostgreSQL has; *in_raw*: those of the missing that the raw table has.
    """
    moved = {key: content for key, content in in_source.items() if key in found.surplus}
    unlike = {key: content for key, content in found.missing.items() if key in in_raw and in_raw[key] != content}
    return RawDifference(
        missing={key: content for key, content in found.missing.items() if key not in in_raw},
        different={**found.different, **unlike, **moved},
        surplus={key: content for key, content in found.surplus.items() if key not in in_source},
        gaps=found.gaps,
        cut_after=found.cut_after,
    )

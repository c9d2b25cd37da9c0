"""What is known of an erasure, and what is to be done next: pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from enum import Enum

from schemas.erasure_rules import EPOCH, ErasureRule


def last_day(rule: ErasureRule) -> date:
    """Reports of a customer who stays may be live from the day before this one on, in some time zone."""
    until = max((to_us for _, to_us in rule.intervals), default=0)
    return (EPOCH + timedelta(microseconds=until)).date() - timedelta(days=1)


class State(Enum):
    BUILDING = "building"
    SERVING = "serving"
    RETIRED = "retired"


@dataclass(frozen=True)
class Generation:
    """A set of tables. *handled*: the highest offset of the rule's partition in them; *topic_id*: of the log they are made from. None: no worker has begun."""

    database: str
    state: State
    topic_id: str | None
    handled: int | None


class Older(Enum):
    """Which rows of the erased user were made without the rule, in one generation."""

    BY_VERSION = "below the command's offset"
    ALL = "all of them"
    NONE = "none: the tables were made from another log, with the rule"


def older(rule: ErasureRule, generation: Generation) -> Older:
    """Offsets of another log cannot be compared with the rule's."""
    if generation.topic_id in {rule.topic_id, None}:
        return Older.BY_VERSION
    return Older.ALL if generation.state is State.RETIRED else Older.NONE


def has_handled(rule: ErasureRule, generation: Generation) -> bool:
    """Whether a worker of this generation has carried the command out, or none ever will: before that its caches may hold what the rule covers."""
    if generation.handled is None or generation.state is State.RETIRED or older(rule, generation) is Older.NONE:
        return True
    return generation.handled >= rule.offset


def to_clean(rule: ErasureRule, generations: Sequence[Generation]) -> list[Generation]:
    """The generations to remove from now. One that is being built is cleaned at once, and again once its worker has reached the command."""
    return [g for g in generations if has_handled(rule, g) or g.state is State.BUILDING]


@dataclass(frozen=True)
class Receipt:
    """How far the removal for one rule is. *removed*: rows by ``<database>.<table>``. It is a receipt once *finished_at* is set."""

    rule: ErasureRule
    started_at: datetime
    removed_at: datetime | None = None
    checked_at: datetime | None = None
    finished_at: datetime | None = None
    removed: Mapping[str, int] = field(default_factory=dict)
    version: int = 0

    def having(self, more: Mapping[str, int]) -> Receipt:
        """With *more* removed rows."""
        together = dict(self.removed)
        for name, rows in more.items():
            together[name] = together.get(name, 0) + rows
        return replace(self, removed=together)


class Phase(Enum):
    REMOVE = "remove"
    SETTLE = "wait until nobody can write any more"
    FINISH = "look for everything once more, and for what is empty"
    SWEEP = "finished; looked for again from time to time"
    REST = "finished"


def phase(receipt: Receipt, now: datetime, settle_s: float, sweep_s: float, tables_changed: datetime = EPOCH) -> Phase:
    """Where the removal stands. *tables_changed*: when a generation was last handed over or retired: what is erased may be in it again."""
    if receipt.finished_at is not None:
        looked = receipt.checked_at or receipt.finished_at
        return Phase.SWEEP if now - looked >= timedelta(seconds=sweep_s) or tables_changed >= looked else Phase.REST
    if receipt.removed_at is None:
        return Phase.REMOVE
    return Phase.FINISH if now - receipt.removed_at >= timedelta(seconds=settle_s) else Phase.SETTLE

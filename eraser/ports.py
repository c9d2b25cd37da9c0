"""What the eraser asks of the tables, and what it has removed from them as values: ClickHouse carries it out (``tables.py``), tests and simulation do in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from eraser.rules import Generation, Receipt
from schemas.erasure_rules import ErasureRule

KEYS_AT_ONCE = 500
"""How many keys one removal names at most; what is left is found when it is looked again."""

Part = tuple[str, str, str]
"""Database, table, name."""
Intervals = tuple[tuple[int, int], ...]
"""Microseconds since the epoch, half-open."""
MovedEvent = tuple[int, int, int]
"""High and low half of its id, and the LSN of its newest version."""
EmptyRow = tuple[str, int, int]
"""Prosthesis, day (since 1970-01-01), and the highest version of what is there."""


class EraserError(RuntimeError):
    """A removal could not be carried out; the message names table and reason. It will be tried again."""


@dataclass(frozen=True)
class Events:
    """All that was recorded of the prosthesis in *intervals*, in whatever version; only an event whose newest version lies there and hides one elsewhere stays (``Moved``)."""

    prosthesis_id: str
    intervals: Intervals

    @property
    def table(self) -> str:
        return "telemetry_events"


@dataclass(frozen=True)
class Moved:
    """Of the prosthesis's events of *keys* all versions up to that one, wherever they lie."""

    prosthesis_id: str
    keys: tuple[MovedEvent, ...]

    @property
    def table(self) -> str:
        return "telemetry_events"


@dataclass(frozen=True)
class Rows:
    """Rows of a user's reports or states of one prosthesis; *before*: only what includes nothing at or beyond that offset of the log.

    *but_empty*: of a day whose report is a tombstone that and its state stay: they hide what a writer that should be dead still brings of before them.
    """

    table: str
    prosthesis_id: str
    user_id: str
    before: int | None
    but_empty: bool = False


@dataclass(frozen=True)
class Empty:
    """Of a user's reports or states the days of *keys*, each up to its version."""

    table: str
    user_id: str
    keys: tuple[EmptyRow, ...]


@dataclass(frozen=True)
class Before:
    """A report is before this if its day is, or if it includes nothing at or beyond that offset of the log; 0: none is by the offset."""

    day: int
    offset: int


@dataclass(frozen=True)
class Documents:
    """Ownership documents that name the user. *below*: by prosthesis, only those made below that offset of the CRM's changes, and no other prosthesis's. None: all of *prosthesis_id*, or of any where that is None."""

    user_id: str
    prosthesis_id: str | None
    below: Mapping[str, int] | None

    @property
    def table(self) -> str:
        return "ownership"


Remains = Events | Moved | Rows | Empty | Documents
"""Rows of one table that have to go. Removing them again is harmless."""


class Tables(Protocol):
    """Raises EraserError, or what the driver raises; after either everything may be asked again. *prosthesis_id* None: of any."""

    def now(self) -> datetime:
        """The clock that receipts are written by."""

    def rules(self) -> list[ErasureRule]: ...

    def receipts(self, rules: Sequence[ErasureRule]) -> dict[tuple[str, str], Receipt]:
        """How far each of *rules* is that was begun."""

    def keep(self, receipt: Receipt) -> Receipt:
        """Write how far it is; returns it as written."""

    def changed_at(self) -> datetime:
        """When a generation was last handed over or retired; the epoch where none ever was."""

    def generations(self, rule: ErasureRule) -> list[Generation]:
        """Every generation whose tables exist, and how far it is in the rule's partition."""

    def moved_events(self, database: str, prosthesis_id: str, intervals: Intervals) -> list[MovedEvent]:
        """Events whose newest version lies in *intervals* and another outside; up to ``KEYS_AT_ONCE``."""

    def user_ids(self, database: str, prosthesis_id: str, *, anywhere: bool) -> list[str]:
        """Whom reports, states and the prosthesis's ownership documents name. *anywhere*: reports and states of every prosthesis."""

    def empty_rows(self, database: str, table: str, user_id: str, prosthesis_id: str | None, before: Before) -> list[EmptyRow]:
        """The user's days that have rows in *table* and no live report, as far as they are *before* something."""

    def newest_documents(self, database: str, user_id: str, prosthesis_id: str | None) -> list[tuple[str, int]]:
        """By prosthesis, the CRM offset of the newest document, where any names the user; up to ``KEYS_AT_ONCE``."""

    def count(self, database: str, what: Remains) -> int: ...

    def delete(self, database: str, what: Remains, deadline_s: float) -> None:
        """Returns when no read finds such rows any more. Raises EraserError where it fails or takes too long."""

    def old_parts(self, databases: Sequence[str], at_least_s: float = 0) -> set[Part]:
        """What removals have replaced, at least that long ago, and whose files are still there."""

    def delete_files(self, database: str, table: str) -> None:
        """Have the files of replaced parts deleted now."""

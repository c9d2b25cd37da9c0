"""What the engine needs of the world. ``adapters/clickhouse.py`` is the real one; the in-memory one of the tests passes the same suite."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from schemas.erasure_rules import ErasureRule
from schemas.partition_progress import PartitionProgress
from schemas.raw_telemetry import Ints, TelemetryColumns
from stream_processor.domain.duplicates import EventId, KnownEvent
from stream_processor.domain.facets.base import MartColumns
from stream_processor.domain.window_fold import BEFORE_ALL

TELEMETRY_AT_ONCE = 200_000
"""Events of raw that are read at once, of about 150 bytes each; a day of one prosthesis may have more."""


@dataclass(frozen=True, slots=True)
class StoredState:
    """A row of ``report_state``; *day* is days since 1970-01-01. *folded_to* is the highest offset in the fold, −1 where the row only says that the report may exist."""

    day: int
    prosthesis_id: str
    user_id: str
    folded_to: int
    fold_format: int
    fold: bytes
    errors_by_code: dict[str, int]
    partition: int


@dataclass(frozen=True, slots=True)
class StateColumns:
    """States to be written, by column; all of the present ``FOLD_FORMAT``."""

    day: Sequence[int]
    prosthesis_id: Sequence[str]
    user_id: Sequence[str]
    folded_to: Sequence[int]
    fold: Sequence[bytes]
    errors_by_code: Sequence[dict[str, int]]
    partition: Sequence[int]


@dataclass(frozen=True, slots=True)
class StoredOwnership:
    prosthesis_id: str
    crm_offset: int
    partition: int
    offset: int
    document: bytes


class ReportStore(Protocol):
    """One generation of tables, and the erasure rules that all generations share.

    Writes are idempotent: a row replaces the one of its key with a lower or equal version, never one with a higher. Reads see all earlier writes.
    Every method raises StoreUnavailable where the server cannot be reached, does not answer in time or is overloaded; StoreUnusable where it refuses whatever is asked of it. Anything
    else that it raises is about the data at hand. The write may or may not have happened.
    """

    def ownership(self, prosthesis_ids: Sequence[str]) -> list[StoredOwnership]: ...

    def states(self, pages: Sequence[tuple[int, str]]) -> list[StoredState]:
        """All states of the (day, prosthesis_id) pairs."""
        ...

    def days_with_telemetry(self, prosthesis_ids: Sequence[str]) -> dict[str, dict[int, int]]:
        """UTC days (since 1970-01-01) on which raw has rows, and how many, deleted and not yet replaced ones included."""
        ...

    def has_telemetry(self, prosthesis_ids: Sequence[str], from_us: int, to_us: int) -> set[tuple[str, int]]:
        """The (prosthesis, UTC day) pairs that have raw rows in the half-open range, deleted ones included."""
        ...

    def highest_event_ids(self, prosthesis_ids: Sequence[str]) -> dict[str, int]:
        """The highest event id that raw has of each, deleted ones included; those without rows are left out."""
        ...

    def from_ahead(self, reach: Mapping[str, int]) -> set[str]:
        """Prostheses of which raw has a row from beyond the offset of the log that *reach* has of them, replaced and deleted ones included."""
        ...

    def known_events(self, ids: Sequence[EventId]) -> dict[EventId, KnownEvent]: ...

    def telemetry(
        self, prosthesis_ids: Sequence[str], from_us: int, to_us: int, after: EventId = BEFORE_ALL, beyond: int = -1
    ) -> Iterator[tuple[list[str], TelemetryColumns]]:
        """The live (not deleted) events in the half-open range that come *after* an event by their key and lie *beyond* an offset of the log.

        In the order of the key where *prosthesis_ids* are in order, in parts of TELEMETRY_AT_ONCE, of which the last one may be shorter: the prosthesis of each event, and the events; ``device``
        is left 0. Each part is a query of its own, made when it is asked for: whoever goes no further leaves nothing open.
        """
        ...

    def write_telemetry(self, prosthesis_ids: Ints, events: TelemetryColumns, former: Sequence[tuple[int, ...]] | None = None) -> None:
        """*prosthesis_ids*: an array of texts, one an event. *former*: the ``KnownEvent.former`` of each; None: of all of them nothing."""
        ...

    def erasures(self) -> list[ErasureRule]:
        """All erasure rules there are."""
        ...

    def write_erasures(self, rules: Sequence[ErasureRule]) -> None: ...
    def write_reports(self, columns: MartColumns) -> None: ...
    def write_states(self, states: StateColumns) -> None: ...
    def write_ownership(self, documents: Sequence[StoredOwnership]) -> None: ...
    def write_progress(self, progress: Sequence[PartitionProgress]) -> None: ...
    def progress(self, topic: str) -> list[PartitionProgress]: ...


class StoreUnavailable(RuntimeError):  # noqa: N818 - named for what it is
    """The store cannot be reached or refused for now; the same call may succeed later."""


class StoreUnusable(RuntimeError):  # noqa: N818 - named for what it is
    """The store refuses the request whatever its data are (schema, rights, settings, a defect of ours): no record is to blame, and no retry helps."""

"""What a record of ``prosthesis.log`` can be: a closed set of types, and the columns that inserted events become."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np

from schemas.commands import Command
from schemas.ownership import OwnershipDocument
from schemas.raw_telemetry import Ints, TelemetryColumns

T = TypeVar("T")


class LogRecord(NamedTuple):
    """A record of the log, as it was consumed."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] = ()


class Record(Protocol):
    """What is needed of a consumed record: a ``LogRecord``, or anything like it."""

    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...


@dataclass(slots=True)
class DeadLetter:
    """A record that cannot be used, with the reason; the adapter adds its bytes and headers."""

    record: Record
    reason: str
    error: str


@dataclass(slots=True)
class Inserts:
    """Inserted rows (Debezium's ``c`` and ``r``): columns, the record and prosthesis id of each, and whether it came live (``c``) or from a snapshot (``r``).

    *unversioned*: rows of an incremental snapshot carry no LSN. Any other stamp could outrank a change that is committed, and so sent, later.
    """

    columns: TelemetryColumns
    records: list[Record]
    ids: list[Any]
    live: Ints
    unversioned: Ints

    def keep(self, wanted: Ints) -> None:
        """Leave only the rows that the mask *wanted* chooses."""
        self.columns, self.live, self.unversioned = self.columns.take(wanted), self.live[wanted], self.unversioned[wanted]
        at = np.flatnonzero(wanted).tolist()
        self.records, self.ids = [self.records[i] for i in at], [self.ids[i] for i in at]

    @classmethod
    def joined(cls, parts: Sequence[Inserts]) -> Inserts:
        return cls(
            columns=TelemetryColumns.concatenate([part.columns for part in parts]),
            records=_chained(part.records for part in parts),
            ids=_chained(part.ids for part in parts),
            live=np.concatenate([part.live for part in parts]),
            unversioned=np.concatenate([part.unversioned for part in parts]),
        )


@dataclass(slots=True)
class Change:
    """An update or a delete: *removed* is the content that leaves, *added* the content that comes (each one event, or None)."""

    record: Record
    prosthesis_id: Any
    removed: TelemetryColumns | None
    added: TelemetryColumns | None
    ts_ms: int = 0  # the database's time of the change

    @property
    def lsn(self) -> int:
        return max(int(row.lsn[0]) for row in (self.removed, self.added) if row is not None)


@dataclass(slots=True)
class Document:
    record: Record
    document: OwnershipDocument


@dataclass(slots=True)
class PlacedCommand:
    record: Record
    command: Command


@dataclass(slots=True)
class Retraction:
    """Whatever is known of an event counts no more: its row in an incremental snapshot is invalid, or its record is left out. *event_id*: its halves.

    *lsn*: the change that is left out, which ranks like it would have; None: just above what is known. *reach*: the offset up to which reports may
    have the event; *instants*: times under which they may.
    """

    record: Record
    prosthesis_id: Any
    event_id: tuple[int, int]
    lsn: int | None = None
    reach: int = -1
    instants: tuple[int, ...] = ()


@dataclass(slots=True)
class Progress:
    """The last record of a partition in the batch, and the latest source time up to it (None: no record carried one)."""

    partition: int
    offset: int
    as_of_ms: int | None

    def after(self, before: Progress | None) -> Progress:
        """This one, which came after *before*: neither the offset nor the source's time goes back."""
        if before is None:
            return self
        as_of = max(self.as_of_ms or 0, before.as_of_ms or 0)
        return Progress(self.partition, max(self.offset, before.offset), as_of or None)


@dataclass(slots=True)
class Decoded:
    inserts: Inserts
    changes: list[Change] = field(default_factory=list)
    documents: list[Document] = field(default_factory=list)
    commands: list[PlacedCommand] = field(default_factory=list)
    retractions: list[Retraction] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)
    progress: dict[int, Progress] = field(default_factory=dict)

    @classmethod
    def joined(cls, parts: Sequence[Decoded]) -> Decoded:
        """One after the other, in the order of the log."""
        if len(parts) == 1:
            return parts[0]
        progress: dict[int, Progress] = {}
        for new in _chained(part.progress.values() for part in parts):
            progress[new.partition] = new.after(progress.get(new.partition))
        return cls(
            inserts=Inserts.joined([part.inserts for part in parts]),
            changes=_chained(part.changes for part in parts),
            documents=_chained(part.documents for part in parts),
            commands=_chained(part.commands for part in parts),
            retractions=_chained(part.retractions for part in parts),
            dead=_chained(part.dead for part in parts),
            progress=progress,
        )


def _chained(parts: Iterable[Iterable[T]]) -> list[T]:
    return list(chain.from_iterable(parts))

"""Erasures and their receipts as ClickHouse has them, read with the account ``auditor``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from clickhouse_driver import Client

from service_kit.clickhouse import connected
from service_kit.partition_progress import read_handled
from service_kit.settings import ClickHouseSettings

_QUERY = """
    SELECT r.erasure_id, r.prosthesis_id, r.subject, r.reason, r.parts, r.issued_at, q.started_at, q.removed_at, q.checked_at, q.finished_at, q.removed
    FROM (SELECT * FROM {shared}.erasure_rules FINAL) AS r
    LEFT JOIN (SELECT * FROM {shared}.erasure_receipts FINAL) AS q ON q.erasure_id = r.erasure_id AND q.prosthesis_id = r.prosthesis_id
    WHERE %(id)s IN ('', r.erasure_id)
    ORDER BY r.issued_at, r.erasure_id, r.prosthesis_id
    SETTINGS join_use_nulls = 1
"""


@dataclass(frozen=True)
class Part:
    """An erasure's rule of one prosthesis, and how far its removal is; *removed*: rows by table."""

    erasure_id: str
    prosthesis_id: str
    subject: str
    reason: str
    parts: int
    issued_at: datetime
    started_at: datetime | None
    removed_at: datetime | None
    checked_at: datetime | None
    finished_at: datetime | None
    removed: dict[str, int]


@dataclass(frozen=True)
class Erasure:
    """All parts that are known of one erasure; there are *expected* in the end."""

    parts: Sequence[Part]

    @property
    def erasure_id(self) -> str:
        return self.parts[0].erasure_id

    @property
    def expected(self) -> int:
        return self.parts[0].parts

    @property
    def finished(self) -> int:
        """How many parts have their receipt."""
        return sum(part.finished_at is not None for part in self.parts)

    @property
    def is_finished(self) -> bool:
        return self.finished == self.expected

    @property
    def removed(self) -> dict[str, int]:
        total: Counter[str] = Counter()
        for part in self.parts:
            total.update(part.removed)
        return dict(sorted(total.items()))

    @property
    def finished_at(self) -> datetime | None:
        times = [part.finished_at for part in self.parts if part.finished_at is not None]
        return max(times) if self.is_finished else None

    def as_json(self) -> dict[str, Any]:
        """JSON-ready; times in ISO 8601."""
        first = self.parts[0]
        return {
            "erasure_id": self.erasure_id,
            "subject": first.subject,
            "reason": first.reason,
            "issued_at": first.issued_at.isoformat(),
            "finished": self.is_finished,
            "finished_at": self.finished_at.isoformat() if self.finished_at else None,
            "prostheses": self.expected,
            "removed": self.removed,
            "parts": [{name: _plain(value) for name, value in asdict(part).items()} for part in self.parts],
        }

    def line(self) -> str:
        state = (
            f"finished {self.finished_at:%Y-%m-%d %H:%M:%S}" if self.finished_at else f"{self.finished} of {self.expected} prostheses done"
        )
        rows = sum(self.removed.values())
        return f"{self.erasure_id}  {self.parts[0].issued_at:%Y-%m-%d %H:%M:%S}  {self.parts[0].reason:<16}  {state}, {rows} rows removed"


def grouped(parts: Iterable[Part]) -> list[Erasure]:
    """*parts* in the order of their erasures, each with all of its own."""
    return [Erasure(list(of)) for _, of in groupby(parts, key=lambda part: part.erasure_id)]


class Records:
    """One connection; errors are clickhouse_driver's."""

    def __init__(self, client: Client, shared: str) -> None:
        self._client = client
        self._shared = shared

    def erasures(self, erasure_id: str = "") -> list[Erasure]:
        """All, or the one."""
        rows = self._client.execute(_QUERY.format(shared=self._shared), {"id": erasure_id})
        return grouped(_part(row) for row in rows)

    def unfinished(self) -> dict[str, datetime]:
        """Those without a receipt, and when each was asked for."""
        return {erasure.erasure_id: erasure.parts[0].issued_at for erasure in self.erasures() if not erasure.is_finished}

    def handled(self, topic: str) -> dict[int, int]:
        """The highest offset by partition that is in the tables that readers see."""
        return read_handled(self._client, topic, self._shared)


@contextmanager
def records(settings: ClickHouseSettings) -> Iterator[Records]:
    with connected(settings) as client:
        yield Records(client, settings.database)


def _part(row: Sequence[Any]) -> Part:
    *about, removed = row
    return Part(*about[:5], *(_aware(at) for at in about[5:]), removed or {})  # type: ignore[call-arg]  # five, then five times, then one


def _aware(at: datetime | None) -> Any:
    return at if at is None or at.tzinfo else at.replace(tzinfo=UTC)


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value

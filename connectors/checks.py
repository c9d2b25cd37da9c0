"""What the last look at each source said, as a table of ClickHouse holds it for ``status`` and for the freshness of reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import msgspec
from clickhouse_driver import Client

from connectors.contract import Finding, Identity, same_server
from service_kit.generations import read_generations, serving

_COLUMNS = "source, generation, checked_at, arrives, whole_at, findings, system_identifier, timeline, lsn"


@dataclass(frozen=True)
class Check:
    """One look at a source. *whole_at*: the last look at which nothing kept its rows from arriving whole. *identity* None: it did not answer yet."""

    source: str
    generation: int
    checked_at: datetime
    whole_at: datetime
    findings: tuple[Finding, ...]
    identity: Identity | None

    @property
    def arrives(self) -> bool:
        return not any(finding.stops for finding in self.findings)


def next_check(
    source: str, generation: int, *, now: datetime, found: Sequence[Finding], identity: Identity | None, before: Check | None
) -> Check:
    """What to store after a look at *now* that saw *found*. Pure.

    The identity that is stored is the one that this generation's tables were filled from: another one does not replace it.
    """
    known = before.identity if before else None
    kept = identity if identity is not None and same_server(identity, known) else known
    whole = not any(finding.stops for finding in found)
    return Check(source, generation, now, now if whole or before is None else before.whole_at, tuple(found), kept)


class Checks:
    """The table ``source_checks`` of the shared database. Raises clickhouse_driver's errors."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def serving(self) -> int:
        """The generation that readers see; 0 where there is none yet."""
        return serving(read_generations(self._client)) or 0

    def last(self, generation: int) -> dict[str, Check]:
        """The last check of each source, by its name."""
        query = f"SELECT {_COLUMNS} FROM source_checks FINAL WHERE generation = %(generation)s"  # noqa: S608 - our own names
        rows = self._client.execute(query, {"generation": generation})
        return {row[0]: _check(row) for row in rows}

    def store(self, checks: Mapping[str, Check]) -> None:
        """Replace what is stored of each source."""
        rows = [_row(check) for check in checks.values()]
        if rows:
            self._client.execute(f"INSERT INTO source_checks ({_COLUMNS}) VALUES", rows)


def _check(row: tuple[object, ...]) -> Check:
    source, generation, checked_at, _, whole_at, findings, identifier, timeline, lsn = row
    if not isinstance(checked_at, datetime) or not isinstance(whole_at, datetime):
        raise TypeError(f"source_checks: {row!r}")
    identity = Identity(str(identifier), int(str(timeline)), int(str(lsn))) if identifier else None
    found = tuple(msgspec.json.decode(str(findings), type=list[Finding]))
    return Check(str(source), int(str(generation)), checked_at.astimezone(UTC), whole_at.astimezone(UTC), found, identity)


def _row(check: Check) -> tuple[object, ...]:
    at = check.identity or Identity("", 0, 0)
    findings = msgspec.json.encode([asdict(finding) for finding in check.findings]).decode()
    return (
        check.source,
        check.generation,
        check.checked_at,
        check.arrives,
        check.whole_at,
        findings,
        at.system_identifier,
        at.timeline,
        at.lsn,
    )

"""Applies ``clickhouse/schema``: shared migrations once each, then the tables of a generation, then the views that readers see.

``NNNN_*.sql`` files are append-only: each is recorded with its checksum, and a recorded file that differs is refused. ``generation.sql`` and
``views.sql`` are templates, applied for one generation; applying them again changes nothing.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from schemas import mart, raw_telemetry
from schemas.generations import BUILDING, DROPPED, FIRST_GENERATION, RETIRED, SERVING, database_of
from schemas.retention import QUERY as RETENTION_QUERY
from schemas.retention import TTL_MARGIN_DAYS, Retention
from service_kit.clickhouse import client
from service_kit.generations import Generation, read_generations, serving
from service_kit.settings import ClickHouseSettings

SCHEMA = Path(__file__).parent / "schema"
_MART = {name: column.type for name, column in mart.COLUMNS.items()}
_CATALOGUES = {
    "raw_columns": mart.definitions(raw_telemetry.COLUMNS),
    "raw_additions": mart.additions(raw_telemetry.COLUMNS),
    "mart_columns": mart.definitions(_MART),
    "mart_additions": mart.additions(_MART),
    "mart_row": ", ".join(mart.MartRow._fields),
    "row_version": ", ".join(mart.RowVersion._fields),
}
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}\Z")


class SchemaError(RuntimeError):
    """The server's schema and the files do not agree; the message says where."""


@dataclass(frozen=True, slots=True)
class Migration:
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Status:
    applied: list[str]
    pending: list[str]
    generation: int | None
    generations: list[Generation]


def migrations() -> list[Migration]:
    """The numbered files in order. Raises SchemaError where two share a number."""
    files = sorted(SCHEMA.glob("[0-9][0-9][0-9][0-9]_*.sql"))
    numbers = [file.name[:4] for file in files]
    if len(set(numbers)) != len(numbers):
        raise SchemaError(f"two migrations share a number: {', '.join(file.name for file in files)}")
    return [Migration(file.stem, file.read_text("utf-8")) for file in files]


def statements(sql: str, names: dict[str, str]) -> Iterator[str]:
    """The statements of a file with ``{name}`` replaced, by *names* or by a list of columns of the catalogues. Names are plain identifiers, so nothing has to be quoted."""
    for value in names.values():
        if not _NAME.match(value):
            raise SchemaError(f"not a database or user name: {value!r}")
    without_comments = "\n".join(line.split("--")[0].rstrip() for line in sql.splitlines())
    for statement in without_comments.split(";"):
        if statement.strip():
            yield statement.strip().format(**names, **_CATALOGUES)


class Migrator:
    """Works as the account that owns the schema and defines the views (*settings.user*)."""

    def __init__(self, settings: ClickHouseSettings) -> None:
        self._shared = settings.database
        self._user = settings.user
        self._client = client(settings, "default")

    def close(self) -> None:
        self._client.disconnect()

    def status(self) -> Status:
        """What is applied, what is pending, and which generation readers see. Raises SchemaError on a changed file."""
        recorded = self._recorded()
        files = migrations()
        for migration in files:
            if recorded.get(migration.name, migration.checksum) != migration.checksum:
                raise SchemaError(f"{migration.name}.sql was changed after it was applied: migrations are append-only, add a new one")
        applied = [m.name for m in files if m.name in recorded]
        pending = [m.name for m in files if m.name not in recorded]
        return Status(applied, pending, self._serving() if applied else None, [] if pending else self.generations())

    def migrate(self) -> list[str]:
        """Apply what is pending and make sure that a generation is there and served. Idempotent; returns what was done."""
        self._run("CREATE DATABASE IF NOT EXISTS {shared};")
        self._run(
            "CREATE TABLE IF NOT EXISTS {shared}.schema_migrations "
            "(name String, checksum String, applied_at DateTime DEFAULT now()) ENGINE = ReplacingMergeTree ORDER BY name;"
        )
        pending = set(self.status().pending)
        done = []
        for migration in migrations():
            if migration.name in pending:
                self._run(migration.sql)
                self._client.execute(
                    f"INSERT INTO {self._shared}.schema_migrations (name, checksum) VALUES", [(migration.name, migration.checksum)]
                )
                done.append(migration.name)
        if self._serving() is None:
            self.create_generation(FIRST_GENERATION)
            self.serve(FIRST_GENERATION)
            done.append(f"generation {FIRST_GENERATION}")
        else:
            serving = self._serving() or FIRST_GENERATION
            self._create_tables(serving)  # which brings one of an earlier version up to date
            self.serve(serving)
        return done

    def generations(self) -> list[Generation]:
        """Every generation there ever was, in order."""
        return read_generations(self._client, self._shared)

    def create_generation(self, generation: int, detail: str = "") -> None:
        """Create the tables of a generation beside the others. Idempotent."""
        self._create_tables(generation)
        self._expire_raw(generation, self.retention().raw_days)
        self.note(generation, BUILDING, detail)

    def _create_tables(self, generation: int) -> None:
        self._run((SCHEMA / "generation.sql").read_text("utf-8"), generation)

    def serve(self, generation: int, detail: str = "") -> None:
        """Let readers see *generation*: each view is replaced at once, readers see the old or the new. Idempotent."""
        self._run((SCHEMA / "views.sql").read_text("utf-8"), generation)
        before = self._serving()
        if before != generation:
            retired = [(one.number, RETIRED, one.detail) for one in self.generations() if one.number == before] if before else []
            # In one insert, so that nobody ever finds two that serve, or none.
            self._insert_states([*retired, (generation, SERVING, detail)])

    def note(self, generation: int, state: str, detail: str) -> None:
        """Record a generation's state, and what its builder has to remember."""
        self._insert_states([(generation, state, detail)])

    def require_droppable(self, generation: int) -> None:
        """Raises SchemaError for a generation that readers see or that never was."""
        states = {one.number: one.state for one in self.generations()}
        if generation not in states:
            raise SchemaError(f"there is no generation {generation}; there are {', '.join(map(str, states)) or 'none'}")
        if states[generation] == SERVING:
            raise SchemaError(f"readers see generation {generation}: it cannot be dropped")

    def drop_generation(self, generation: int) -> None:
        """Delete a generation's tables for good. Idempotent. Raises SchemaError as ``require_droppable``."""
        self.require_droppable(generation)
        self._run("DROP DATABASE IF EXISTS {generation_database} SYNC;", generation)
        self.note(generation, DROPPED, "")

    def retention(self) -> Retention:
        """How long telemetry is kept."""
        return Retention.of(self._client.execute(RETENTION_QUERY.replace("retention", f"{self._shared}.retention")))

    def set_retention(self, what: str, days: int | None) -> None:
        """Record how long ``raw`` or ``source`` telemetry is kept; None: for ever. Workers see it within seconds. Idempotent."""
        self._client.execute(f"INSERT INTO {self._shared}.retention (what, days) VALUES", [(what, days or 0)])

    def expire_raw(self) -> None:
        """Let every generation's raw rows expire as is recorded. Idempotent; deletes what is older, in the background and for good."""
        for one in self.generations():
            if one.state != DROPPED:
                self._expire_raw(one.number, self.retention().raw_days)

    def _expire_raw(self, generation: int, days: int | None) -> None:
        table = f"{database_of(self._shared, generation)}.telemetry_events"
        has = "TTL " in self._client.execute(f"SHOW CREATE TABLE {table}")[0][0]
        if days is not None:
            self._client.execute(f"ALTER TABLE {table} MODIFY TTL toDateTime(recorded_at) + toIntervalDay({days + TTL_MARGIN_DAYS})")
        elif has:
            self._client.execute(f"ALTER TABLE {table} REMOVE TTL")

    def _insert_states(self, rows: list[tuple[int, str, str]]) -> None:
        self._client.execute(f"INSERT INTO {self._shared}.generations (generation, state, detail) VALUES", rows)

    def _serving(self) -> int | None:
        return serving(self.generations())

    def _recorded(self) -> dict[str, str]:
        exists = self._client.execute(
            "SELECT count() FROM system.tables WHERE database = %(database)s AND name = 'schema_migrations'", {"database": self._shared}
        )
        if not exists[0][0]:
            return {}
        return dict(self._client.execute(f"SELECT name, checksum FROM {self._shared}.schema_migrations FINAL"))

    def _run(self, sql: str, generation: int = FIRST_GENERATION) -> None:
        names = {"shared": self._shared, "generation_database": database_of(self._shared, generation), "definer": self._user}
        for statement in statements(sql, names):
            self._client.execute(statement)

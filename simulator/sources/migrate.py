"""Migrates the two source databases: ``apply`` is idempotent and is run at every start.

A migration is a file ``<database>/NNNN_<name>.sql``, applied once, in order, in one transaction, as the database's owner. Its SHA-256 is recorded in
``<schema>.schema_migrations``; a file that changes after it was applied is refused: write the next one instead.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import Connection, sql
from pydantic import SecretStr

from schemas.keys import heartbeat_key
from schemas.topics import log_partitions
from simulator.sources.roles import ROLES, apply_roles

FOLDER = Path(__file__).parent
DATABASES: Mapping[str, str] = {"crm": "crm", "telemetry": "telemetry"}
_LOCK = 0x62696F6E  # one migrator at a time, per database
_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")

Conninfo = Mapping[str, Any]
Row = tuple[Any, ...]


class MigrationError(RuntimeError):
    """The database and the migration files contradict each other; the message says where and what to do."""


@dataclass(frozen=True)
class Migration:
    version: int
    name: str
    statements: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the file's text, hexadecimal."""
        return hashlib.sha256(self.statements.encode()).hexdigest()


def apply(superuser: Conninfo, passwords: Mapping[str, SecretStr], databases: Mapping[str, str] = DATABASES) -> list[str]:
    """Make roles, databases, schemas, tables, rights, publications and heartbeat rows as the files say.

    *superuser*: keyword arguments of ``psycopg.connect`` (its ``dbname`` is not used); *passwords*: one of each of ``roles.ROLES``;
    *databases*: the database that holds each schema. Roles are the server's, so they are shared where several sets of databases stand on one.
    Returns a line for each thing that was changed: an empty list where everything stood already.
    Raises MigrationError, psycopg.Error, and KeyError for a missing password.
    """
    changes: list[str] = []
    with _connect(superuser, "postgres") as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
        # The maintenance database is open to everybody by default: a stolen account should find nothing but its own.
        connection.execute("REVOKE ALL ON DATABASE postgres FROM PUBLIC")
        changes += apply_roles(connection, passwords)
        for schema, database in databases.items():
            changes += _make_database(connection, schema, database)
    for schema, database in databases.items():
        with _connect(superuser, database) as connection:
            changes += _migrate(connection, schema, read_migrations(FOLDER / schema))
            if schema == "telemetry":
                changes += _make_heartbeats(connection, log_partitions())
    return changes


def read_migrations(folder: Path) -> list[Migration]:
    """The migrations of *folder* in order. Raises MigrationError where a name is not ``NNNN_<name>.sql`` or a number is missing or double."""
    migrations: list[Migration] = []
    for path in sorted(folder.glob("*.sql")):
        matched = _NAME.fullmatch(path.name)
        if matched is None:
            raise MigrationError(f"{path.name}: name it NNNN_<name>.sql")
        migrations.append(Migration(int(matched[1]), matched[2], path.read_text(encoding="utf-8")))
    expected = list(range(1, len(migrations) + 1))
    if [migration.version for migration in migrations] != expected:
        raise MigrationError(f"{folder.name}: migrations must be numbered {expected[:1]}…{expected[-1:]} without gaps or doubles")
    return migrations


def pending(migrations: Sequence[Migration], applied: Mapping[int, str]) -> list[Migration]:
    """Which of *migrations* are to be applied, given the checksums of those that were.

    Raises MigrationError where an applied one has another text now, or is not among the files (the database is newer than this code).
    """
    by_version = {migration.version: migration for migration in migrations}
    for version, checksum in applied.items():
        if version not in by_version:
            raise MigrationError(f"migration {version:04} was applied but is no file here: the database is newer than this code")
        if by_version[version].checksum != checksum:
            raise MigrationError(f"migration {version:04} was changed after it was applied: restore it and write the next one")
    return [migration for migration in migrations if migration.version not in applied]


def _connect(superuser: Conninfo, database: str) -> Connection[Row]:
    return psycopg.connect(**{**superuser, "dbname": database}, autocommit=True)


def _make_database(connection: Connection[Row], schema: str, database: str) -> list[str]:
    changes: list[str] = []
    name = sql.Identifier(database)
    if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,)).fetchone() is None:
        owner = sql.Identifier(f"{schema}_owner")
        connection.execute(sql.SQL("CREATE DATABASE {} OWNER {} ENCODING 'UTF8' TEMPLATE template0").format(name, owner))
        changes.append(f"database {database} created")
    # Rights are stated again each time: granting what is granted changes nothing.
    connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name))
    for role in ROLES:
        if schema in role.schemas:
            connection.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(name, sql.Identifier(role.name)))
    return changes


def _become_owner(connection: Connection[Row], schema: str) -> None:
    connection.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
    connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(f"{schema}_owner")))
    connection.execute("SET client_min_messages = warning")
    connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))
    # Functions and types of the owner are nobody else's unless a migration says so.
    connection.execute("ALTER DEFAULT PRIVILEGES REVOKE ALL ON FUNCTIONS FROM PUBLIC")
    connection.execute("ALTER DEFAULT PRIVILEGES REVOKE ALL ON TYPES FROM PUBLIC")


def _migrate(connection: Connection[Row], schema: str, migrations: Sequence[Migration]) -> list[str]:
    connection.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
    _become_owner(connection, schema)
    table = sql.Identifier(schema, "schema_migrations")
    connection.execute(
        sql.SQL(
            "CREATE TABLE IF NOT EXISTS {} (version integer PRIMARY KEY, name text NOT NULL, checksum text NOT NULL,"
            " applied_at timestamptz NOT NULL DEFAULT clock_timestamp())"
        ).format(table)
    )
    applied: dict[int, str] = dict(connection.execute(sql.SQL("SELECT version, checksum FROM {}").format(table)).fetchall())
    changes: list[str] = []
    for migration in pending(migrations, applied):
        with connection.transaction():
            connection.execute(migration.statements.encode())
            connection.execute(
                sql.SQL("INSERT INTO {} (version, name, checksum) VALUES (%s, %s, %s)").format(table),
                (migration.version, migration.name, migration.checksum),
            )
        changes.append(f"{schema} {migration.version:04} {migration.name}")
    return changes


def _make_heartbeats(connection: Connection[Row], partitions: int) -> list[str]:
    wanted = {partition: heartbeat_key(partition, partitions) for partition in range(partitions)}
    found: dict[int, str] = dict(connection.execute("SELECT log_partition, log_key FROM telemetry.pipeline_heartbeats").fetchall())
    if found == wanted:
        return []
    if found:
        raise MigrationError(
            f"telemetry.pipeline_heartbeats holds {len(found)} rows made for another partition count than {partitions}:"
            " the count of prosthesis.log never changes; restore schemas/topics/prosthesis.log.yaml"
        )
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany("INSERT INTO telemetry.pipeline_heartbeats (log_partition, log_key) VALUES (%s, %s)", list(wanted.items()))
    return [f"{partitions} heartbeat rows, one a partition of prosthesis.log"]

"""Telemetry tables whose columns have other types than the demo's, read by one real connector: a table a case, all in one database and one topic."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import psycopg
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from connectors.apply import Connect, Connector, wanted_connectors
from schemas.mapping import IdType
from tests.support.captured import Captured, Tail
from tests.support.sources import Sources, fresh_sources
from tests.support.system import System
from tests.support.waiting import PATIENCE_S

COLUMNS = {
    "event_id": "bigint PRIMARY KEY",
    "prosthesis_id": "bigint NOT NULL",
    "recorded_at": "timestamptz",
    "received_at": "timestamptz",
    "kind": "text",
    "amplitude_uv": "integer",
    "movement_recognised": "boolean",
    "active_ms": "integer",
    "battery_percent": "smallint",
    "error_code": "text",
    "error_severity": "text",
    "latitude": "double precision",
    "longitude": "double precision",
}
TYPES = (
    "CREATE TYPE telemetry.kind AS ENUM ('signal', 'battery', 'error', 'location')",
    "CREATE DOMAIN telemetry.percent AS numeric(6,3)",
    "CREATE DOMAIN telemetry.nested AS telemetry.percent",
    "CREATE TYPE telemetry.level AS ENUM ('50', '75', '101')",
)


@dataclass(frozen=True)
class TypedCase:
    """*columns*: what replaces the demo's types; *rows*: the SQL of each row's values by column, beside those that every row has.

    *counts*: the rows that are valid; *numbers*: their event ids, where these are not the rows' numbers. *agrees*: whether PostgreSQL shows what is sent.
    """

    columns: Mapping[str, str]
    rows: Sequence[Mapping[str, str]]
    counts: Sequence[int]
    numbers: Sequence[str] = ()
    ids: IdType = "integer"
    agrees: bool = True

    def number(self, row: int) -> str:
        """The event id of a row as text."""
        return self.numbers[row] if self.numbers else str(row)


@dataclass(frozen=True)
class TypedSources:
    """The database after its rows were sent: what came of each table, in the order of the log, and how to ask PostgreSQL."""

    sources: Sources
    records: Mapping[str, Sequence[Captured]]

    def connection(self) -> psycopg.Connection[Any]:
        """As the account of ``verify``."""
        return psycopg.connect(**self.sources.conninfo("telemetry", "auditor"))


@contextmanager
def captured_types(pipe: System, cases: Mapping[str, TypedCase]) -> Iterator[TypedSources]:
    """Make a table for each of *cases*, its first row before the connector starts (the snapshot's way), the others after (the WAL's)."""
    with fresh_sources(pipe.postgres) as sources:
        with psycopg.connect(**sources.conninfo("telemetry", "postgres"), autocommit=True) as owner:
            _make(owner, cases)
            for name, case in cases.items():
                _insert(owner, name, case.rows[:1], 0)
            with _connector(pipe, sources) as topic, Tail(pipe.kafka.client(), topic, from_beginning=True) as tail:
                snapshot = tail.until(lambda found: len(found) >= len(cases), lambda _: True)
                for name, case in cases.items():
                    _insert(owner, name, case.rows[1:], 1)
                found = tail.until(lambda found: len(found) >= sum(len(case.rows) for case in cases.values()) - len(cases), lambda _: True)
        by_table: dict[str, list[Captured]] = {name: [] for name in cases}
        for record in [*snapshot, *found]:
            by_table[record.value["source"]["table"]].append(record)
        yield TypedSources(sources, by_table)


def _make(owner: psycopg.Connection[Any], cases: Mapping[str, TypedCase]) -> None:
    for statement in TYPES:
        owner.execute(statement.encode())
    owner.execute(b"GRANT USAGE ON SCHEMA telemetry TO debezium, auditor")
    for name, case in cases.items():
        columns = ", ".join(f"{column} {kind}" for column, kind in (COLUMNS | dict(case.columns)).items())
        owner.execute(f"CREATE TABLE telemetry.{name} ({columns})".encode())
        owner.execute(f"ALTER TABLE telemetry.{name} REPLICA IDENTITY FULL".encode())
        owner.execute(f"GRANT SELECT ON telemetry.{name} TO debezium, auditor".encode())
    owner.execute(f"CREATE PUBLICATION typed FOR TABLE {', '.join(f'telemetry.{name}' for name in cases)}".encode())


def _insert(owner: psycopg.Connection[Any], name: str, rows: Sequence[Mapping[str, str]], first: int) -> None:
    for number, row in enumerate(rows, first):
        values = {"event_id": str(number), "prosthesis_id": "7"} | {
            "recorded_at": "'2026-11-20 08:00Z'",
            "received_at": "'2026-11-20 09:00Z'",
        }
        values |= row
        owner.execute(f"INSERT INTO telemetry.{name} ({', '.join(values)}) VALUES ({', '.join(values.values())})".encode())


@contextmanager
def _connector(pipe: System, sources: Sources) -> Iterator[str]:
    """The project's own telemetry connector, but for the database, the tables and the topic."""
    mark = secrets.token_hex(4)
    topic = f"connect-typed-{mark}"  # of those that Connect may write
    (telemetry,) = [connector for connector in wanted_connectors() if connector.name == "telemetry"]
    changed = {
        "database.dbname": sources.databases["telemetry"],
        "topic.prefix": topic,
        "slot.name": f"typed_{mark}",
        "publication.name": "typed",
        "table.include.list": r"telemetry\.t_.*",
        "column.include.list": r"telemetry\.t_.*",
        "message.key.columns": r"telemetry\.t_.*:prosthesis_id,event_id",
        "predicates.events.pattern": r".*\.telemetry\.t_.*",
        "transforms.route.regex": r".*\.telemetry\..*",
        "transforms.route.replacement": topic,
        "heartbeat.interval.ms": "0",
    }
    config = {name: value for name, value in {**telemetry.config, **changed}.items() if name != "heartbeat.action.query"}
    admin = AdminClient({**pipe.kafka.client(), "log_level": 0})
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(15)
    try:
        with Connect(pipe.connect.url) as connect:
            connect.apply([Connector(topic, config)])
        yield topic
    finally:
        httpx.delete(f"{pipe.connect.url}/connectors/{topic}", timeout=PATIENCE_S)
        admin.delete_topics([topic])[topic].result(15)

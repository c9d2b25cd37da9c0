"""The two source databases with rows of a test's own, in transactions that are rolled back: what other tests left is hidden, nothing is left."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg import Connection, sql

from reconciliation.day_range import DayRange
from reconciliation.fields import FIELDS, Key, Rows, Value
from reconciliation.oracle import Oracle
from schemas.mapping import SourceMapping
from tests.support.endpoints import PostgresEndpoint

RECEIVED = datetime(2026, 11, 23, tzinfo=UTC)


def user(number: int) -> str:
    """The user id of customer *number*."""
    return str(UUID(int=number))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def micro(at: datetime) -> int:
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // (datetime.resolution)


@dataclass
class Sources:
    """Both databases, and short ways to write the rows of a case."""

    crm: Connection[Any]
    telemetry: Connection[Any]
    oracle: Oracle = field(default_factory=lambda: Oracle(SourceMapping.read()))

    def customer(self, number: int, timezone: str = "UTC") -> None:
        self.crm.execute(
            "INSERT INTO crm.customers (customer_id, user_id, full_name, email, timezone) VALUES (%s, %s, %s, 'x@example.org', %s)",
            (number, user(number), f"Customer {number}", timezone),
        )

    def prosthesis(self, number: int) -> None:
        self.crm.execute(
            "INSERT INTO crm.prostheses (prosthesis_id, model, serial_number) VALUES (%s, %s, %s)",
            (number, f"Model {number}", f"SN-{number}"),
        )

    def contract(self, number: int, customer: int, prosthesis: int, starts: datetime | str, ends: datetime | str | None = None) -> None:
        self.crm.execute(
            "INSERT INTO crm.contracts (contract_id, number, customer_id, prosthesis_id, starts_at, ends_at) VALUES (%s, %s, %s, %s, %s, %s)",
            (number, f"K-{number}", customer, prosthesis, starts, ends),
        )

    def owned(self, timezone: str, prosthesis: int = 1, customer: int = 1) -> None:
        """One customer in *timezone* who has always owned *prosthesis*."""
        self.customer(customer, timezone)
        self.prosthesis(prosthesis)
        self.contract(prosthesis, customer, prosthesis, utc("2001-01-01"))

    def event(self, recorded_at: datetime | str | None, kind: str | None, *, prosthesis: int = 1, **columns: Any) -> None:
        row = {"prosthesis_id": prosthesis, "recorded_at": recorded_at, "received_at": RECEIVED, "kind": kind} | columns
        statement = sql.SQL("INSERT INTO telemetry.telemetry_events ({}) VALUES ({})").format(
            sql.SQL(", ").join(map(sql.Identifier, row)), sql.SQL(", ").join(sql.Placeholder() * len(row))
        )
        self.telemetry.execute(statement, list(row.values()))

    def signal(
        self, at: datetime | str | None, uv: int | None = 100, recognised: bool | None = True, ms: int | None = 1000, **more: Any
    ) -> None:
        self.event(at, "signal", amplitude_uv=uv, movement_recognised=recognised, active_ms=ms, **more)

    def battery(self, at: datetime | str | None, percent: int | None, **more: Any) -> None:
        self.event(at, "battery", battery_percent=percent, **more)

    def error(self, at: datetime | str | None, code: str | None, severity: str | None = "warning", **more: Any) -> None:
        self.event(at, "error", error_code=code, error_severity=severity, **more)

    def location(self, at: datetime | str | None, latitude: float | None, longitude: float | None, **more: Any) -> None:
        self.event(at, "location", latitude=latitude, longitude=longitude, **more)

    def reports(self, first: date = date(2000, 1, 1), last: date = date(2026, 12, 31)) -> Rows:
        """What the oracle says of the days *first* … *last*."""
        return self.oracle.reports(self.telemetry, self.oracle.intervals(self.crm), DayRange(first, last))

    def report(self, day: str, customer: int = 1, prosthesis: int = 1) -> dict[str, Value]:
        """The fields of one row; KeyError where the oracle has none."""
        return dict(zip(FIELDS, self.reports()[Key(user(customer), date.fromisoformat(day), str(prosthesis))], strict=True))


@contextmanager
def rolled_back(postgres: PostgresEndpoint) -> Iterator[Sources]:
    """Empty source tables within two transactions that end with a roll-back."""
    with rolled_back_at(postgres.conninfo("crm"), postgres.conninfo("telemetry")) as databases:
        yield databases


@contextmanager
def rolled_back_at(crm_conninfo: dict[str, Any], telemetry_conninfo: dict[str, Any]) -> Iterator[Sources]:
    """See ``rolled_back``."""
    with psycopg.connect(**crm_conninfo) as crm, psycopg.connect(**telemetry_conninfo) as telemetry:
        for statement in ("DELETE FROM crm.contracts", "DELETE FROM crm.customers", "DELETE FROM crm.prostheses"):
            crm.execute(statement)
        telemetry.execute("DELETE FROM telemetry.telemetry_events")
        try:
            yield Sources(crm, telemetry)
        finally:
            crm.rollback()
            telemetry.rollback()

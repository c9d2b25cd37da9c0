"""The probe's own wearer in the CRM, and its marks in telemetry: made with the accounts of the CRM and of ingest, nothing more."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg

from service_kit.settings import PostgresSettings

USER_ID = UUID("b10c9000-0000-4000-8000-0000000000ff")
SERIAL_NUMBER = "PROBE-0001"
_LOCK = 0x70726F62
_STATEMENT_TIMEOUT = "-c statement_timeout=10000"

Connection = psycopg.Connection[tuple[Any, ...]]


def connect(settings: PostgresSettings) -> Connection:
    """A connection that commits each statement. Raises psycopg.Error."""
    return psycopg.connect(**settings.conninfo(), autocommit=True, options=_STATEMENT_TIMEOUT)  # type: ignore[arg-type]  # keyword arguments of mixed types


def ensure(crm: PostgresSettings) -> int:
    """The probe's prosthesis, made with its customer and an open contract where one is missing. Idempotent; raises psycopg.Error."""
    with connect(crm) as connection, connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        customer = _one(
            connection,
            "SELECT customer_id FROM crm.customers WHERE user_id = %s",
            "INSERT INTO crm.customers (user_id, full_name, email, timezone) VALUES (%s, 'probe', 'probe@example.org', 'UTC') RETURNING customer_id",
            (USER_ID,),
        )
        prosthesis = _one(
            connection,
            "SELECT prosthesis_id FROM crm.prostheses WHERE serial_number = %s",
            "INSERT INTO crm.prostheses (model, serial_number) VALUES ('probe', %s) RETURNING prosthesis_id",
            (SERIAL_NUMBER,),
        )
        _one(
            connection,
            "SELECT contract_id FROM crm.contracts WHERE customer_id = %s AND prosthesis_id = %s AND ends_at IS NULL",
            "INSERT INTO crm.contracts (number, customer_id, prosthesis_id, starts_at) VALUES ('PROBE', %s, %s, '2020-01-01T00:00:00Z') RETURNING contract_id",
            (customer, prosthesis),
        )
    return prosthesis


def insert(telemetry: Connection, prosthesis: int, code: str) -> int:
    """One error event of now with *code*; committed when this returns. Returns its id; raises psycopg.Error."""
    # A little in the past, so that neither clock makes it an event of the future.
    at = datetime.now(UTC) - timedelta(seconds=1)
    row = telemetry.execute(
        "INSERT INTO telemetry.telemetry_events (prosthesis_id, recorded_at, kind, error_code, error_severity)"
        " VALUES (%s, %s, 'error', %s, 'info') RETURNING event_id",
        (prosthesis, at, code),
    ).fetchone()
    return int(row[0]) if row else 0


def delete(telemetry: Connection, event_ids: Sequence[int]) -> int:
    """Delete marks again, each commit a part of them, so that the pipeline is not flooded. Returns how many went; raises psycopg.Error."""
    gone = 0
    for begin in range(0, len(event_ids), 1000):
        part = list(event_ids[begin : begin + 1000])
        gone += telemetry.execute("DELETE FROM telemetry.telemetry_events WHERE event_id = ANY(%s)", (part,)).rowcount
    return gone


def _one(connection: Connection, select: str, make: str, values: tuple[object, ...]) -> int:
    row = connection.execute(select.encode(), values).fetchone() or connection.execute(make.encode(), values).fetchone()
    return int(row[0]) if row else 0

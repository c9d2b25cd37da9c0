"""Fills the two source databases with the demo's people and 90 days of their past. Does nothing where it was done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg import Connection

from simulator.demo_data import CONTRACTS, CUSTOMERS, PROSTHESES
from simulator.devices import Reading
from simulator.history import contract_times, history

HISTORY_DAYS = 90
_LOCK = 0x73656564  # one load at a time, per database

Row = tuple[Any, ...]
Conninfo = Mapping[str, Any]

COLUMNS = (
    "prosthesis_id",
    "recorded_at",
    "received_at",
    "kind",
    "amplitude_uv",
    "movement_recognised",
    "active_ms",
    "battery_percent",
    "error_code",
    "error_severity",
    "latitude",
    "longitude",
)


@dataclass(frozen=True)
class Loaded:
    """How many rows were added; zeros where the databases had the demo already."""

    customers: int
    telemetry_rows: int


def load_demo(crm: Conninfo, telemetry: Conninfo, now: datetime, days: int = HISTORY_DAYS) -> Loaded:
    """Add the demo's customers, then what their devices had uploaded by *now* (aware). Idempotent, and safe to run twice at once.

    *crm* and *telemetry* are keyword arguments of ``psycopg.connect`` for the accounts ``crm_app`` and ``telemetry_ingest``.
    The CRM goes first, so that hardly any telemetry has to wait for its owner. Raises psycopg.Error; each database is filled wholly or not at all.
    """
    with psycopg.connect(**crm) as connection:
        added = _load_crm(connection, now)
        serials: dict[str, int] = dict(
            connection.execute(
                "SELECT serial_number, prosthesis_id FROM crm.prostheses WHERE serial_number = ANY(%s)",
                ([prosthesis.serial_number for prosthesis in PROSTHESES],),
            ).fetchall()
        )
    with psycopg.connect(**telemetry) as connection:
        rows = _load_telemetry(connection, serials, now, days)
    return Loaded(added, rows)


def copy_readings(connection: Connection[Row], readings: Iterable[Reading]) -> int:
    """COPY *readings* into telemetry_events with their own upload times, inside the caller's transaction; returns how many."""
    count = 0
    with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY telemetry.telemetry_events ({', '.join(COLUMNS)}) FROM STDIN") as copy,
    ):
        for reading in readings:
            copy.write_row([getattr(reading, column) for column in COLUMNS])
            count += 1
    return count


def _load_crm(connection: Connection[Row], now: datetime) -> int:
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
    users = [customer.user.user_id for customer in CUSTOMERS]
    if connection.execute("SELECT 1 FROM crm.customers WHERE user_id = ANY(%s) LIMIT 1", (users,)).fetchone():
        return 0
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO crm.customers (user_id, full_name, email, timezone) VALUES (%s, %s, %s, %s)",
            [(c.user.user_id, c.user.full_name, c.user.email, c.timezone) for c in CUSTOMERS],
        )
        cursor.executemany(
            "INSERT INTO crm.prostheses (model, serial_number) VALUES (%s, %s)", [(p.model, p.serial_number) for p in PROSTHESES]
        )
        logins = {customer.user.login: customer.user.user_id for customer in CUSTOMERS}
        cursor.executemany(
            "INSERT INTO crm.contracts (number, customer_id, prosthesis_id, starts_at, ends_at)"
            " SELECT %s, c.customer_id, p.prosthesis_id, %s, %s FROM crm.customers c, crm.prostheses p"
            " WHERE c.user_id = %s AND p.serial_number = %s",
            [(c.number, *contract_times(c, now), logins[c.login], c.serial_number) for c in CONTRACTS],
        )
    return len(CUSTOMERS)


def _load_telemetry(connection: Connection[Row], serials: Mapping[str, int], now: datetime, days: int) -> int:
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
    found = connection.execute(
        "SELECT 1 FROM telemetry.telemetry_events WHERE prosthesis_id = ANY(%s) AND recorded_at < %s - interval '1 day' LIMIT 1",
        (list(serials.values()), now),
    ).fetchone()
    if found:
        return 0
    readings = sorted(history(serials, now, days), key=lambda reading: reading.received_at)
    return copy_readings(connection, readings)

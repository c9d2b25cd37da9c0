"""Replication slots of the connectors, as PostgreSQL has them."""

from __future__ import annotations

import time
from dataclasses import dataclass

import psycopg

from service_kit.settings import PostgresSettings

DROP_LIMIT_S = 30.0
LOOK_S = 0.2
SLOT = "SELECT active, wal_status FROM pg_replication_slots WHERE slot_name = %s"


@dataclass(frozen=True)
class SlotState:
    """*active*: somebody streams from it; *lost*: PostgreSQL removed WAL that it needed, so that nobody ever can."""

    active: bool
    lost: bool


def state_of(database: PostgresSettings, slot: str) -> SlotState | None:
    """The slot, None where it does not exist. Any account may look. Raises psycopg.Error."""
    with _connected(database) as connection:
        row = connection.execute(SLOT, (slot,)).fetchone()
    return SlotState(bool(row[0]), row[1] == "lost") if row else None


def drop(database: PostgresSettings, slot: str) -> None:
    """Drop a slot whose reader was told to end; the account needs REPLICATION. Raises psycopg.Error, also where somebody reads it for DROP_LIMIT_S."""
    deadline = time.monotonic() + DROP_LIMIT_S
    with _connected(database) as connection:
        while True:
            try:
                connection.execute("SELECT pg_drop_replication_slot(%s)", (slot,))
            except psycopg.errors.ObjectInUse:
                if time.monotonic() > deadline:
                    raise
                time.sleep(LOOK_S)
            else:
                return


def _connected(database: PostgresSettings) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(**database.conninfo(), autocommit=True)  # type: ignore[arg-type]  # keyword arguments of mixed types

"""Replication slots of the connectors, as PostgreSQL has them."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg

from service_kit.retries import Policy, retrying
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
    until_free = retrying(
        Policy(first_s=LOOK_S, most_s=8 * LOOK_S, within_s=DROP_LIMIT_S), when=lambda error: isinstance(error, psycopg.errors.ObjectInUse)
    )
    with _connected(database) as connection:
        until_free(lambda: connection.execute("SELECT pg_drop_replication_slot(%s)", (slot,)))


def _connected(database: PostgresSettings) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(**database.conninfo(), autocommit=True)  # type: ignore[arg-type]  # keyword arguments of mixed types

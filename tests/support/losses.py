"""Faults that lose data, as they are made on real servers: what tests of losses and schedules of faults share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg

from cli.broker import Broker
from tests.support.processor import until
from tests.support.system import System


def drop_slot(superuser: Mapping[str, Any], slot: str) -> bool:
    """As an administrator under pressure does: end whoever reads it, and drop it before they are back. Whether it is gone. *superuser*: keyword arguments of ``psycopg.connect``."""
    with psycopg.connect(**superuser, autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = %s AND active", (slot,))
        if connection.execute("SELECT FROM pg_replication_slots WHERE slot_name = %s", (slot,)).fetchone() is not None:
            try:
                connection.execute("SELECT pg_drop_replication_slot(%s)", (slot,))
            except psycopg.errors.ObjectInUse:
                return False
    return True


def lose_slot(system: System, name: str) -> None:
    """Drop the slot *name*, for good: who reads it is back within seconds, so it is tried until it is gone."""
    until(lambda: drop_slot(dict(system.postgres.conninfo(name.removeprefix("bionicpro_"))), name), f"{name} is dropped")


def expire(broker: Broker, topic: str) -> dict[int, int]:
    """Retention takes all that stands in *topic* now, read or not. Returns where each partition begins then. Raises KafkaException."""
    ends: dict[int, int] = dict(broker.topics([topic])[topic].ends)
    for partition, end in ends.items():
        broker.delete_before(topic, partition, end)
    return ends

"""A consistent snapshot in which both source databases and the mart can be compared: two snapshots, each closed by a barrier that the processor has handled."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from psycopg import Connection

from reconciliation.barrier import BarrierError, Tail, await_handled, snapshot
from reconciliation.mart import Mart
from reconciliation.oracle import Interval, Oracle
from reconciliation.settings import ReconciliationSettings
from schemas.keys import CRM_TOPIC, LOG_TOPIC


@dataclass(frozen=True)
class ConsistentSnapshot:
    """*intervals*: all ownership, of the CRM's snapshot; *telemetry*: a connection in its snapshot; *barrier*: offset by partition of the log.

    *oracle* knows the erasure rules that were in force once the barrier was handled.
    """

    intervals: list[Interval]
    telemetry: Connection[Any]
    barrier: dict[int, int]
    oracle: Oracle


class ConsistentSnapshots:
    """Takes them. One at a time; close after use."""

    def __init__(self, settings: ReconciliationSettings, oracle: Oracle, mart: Mart) -> None:
        self._settings = settings
        self._oracle = oracle
        self._mart = mart
        self._crm_tail = Tail(settings.kafka, CRM_TOPIC)
        self._log_tail = Tail(settings.kafka, LOG_TOPIC)

    def __enter__(self) -> ConsistentSnapshots:
        return self

    def __exit__(self, *_: object) -> None:
        self._crm_tail.close()
        self._log_tail.close()

    def log_ends(self) -> dict[int, int]:
        """The next offset of each partition of the log."""
        return self._log_tail.ends()

    @contextmanager
    def take(self) -> Iterator[ConsistentSnapshot]:
        """The CRM first: its ownership documents must be in the log before the barrier of telemetry is.

        Raises BarrierError, psycopg.Error, KafkaException and clickhouse_driver's errors.
        """
        mapping = self._oracle.mapping
        with self._closed(self._crm_tail, self._settings.crm_db, mapping.crm.heartbeats.table) as (crm, _):
            intervals = self._oracle.intervals(crm)
        with self._closed(self._log_tail, self._settings.telemetry_db, mapping.heartbeats.table) as (telemetry, barrier):
            yield ConsistentSnapshot(intervals, telemetry, barrier, replace(self._oracle, erased=self._mart.erased()))

    @contextmanager
    def _closed(self, tail: Tail, database: Any, heartbeats: str) -> Iterator[tuple[Connection[Any], dict[int, int]]]:
        deadline = time.monotonic() + self._settings.reconciliation.barrier_timeout_s
        token = f"verify-{uuid.uuid4().hex}"
        ends = tail.ends()
        with snapshot(database, heartbeats, token) as (connection, marked):
            if marked < len(ends):
                raise BarrierError(
                    f"{heartbeats} has {marked} rows, topic {tail.topic} has {len(ends)} partitions: run the source migrations"
                )
            barrier = tail.find(token, ends, deadline)
            await_handled(tail.topic, barrier, self._mart.handled, deadline, self._settings.reconciliation.barrier_timeout_s)
            yield connection, barrier

"""The source databases under load: owners in the CRM, telemetry at a rate, both by the accounts of ordinary applications."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Thread
from typing import Any

import psycopg

from benchmarks.servers import LOOPBACK, Servers, progress
from benchmarks.worker import SubjectFailedError

TICK_S = 0.05  # one multi-row INSERT, one commit
ROWS_PER_COMMIT = 1_000
OWNED_LIMIT_S = 300.0
SLOWEST_OWNERS_PER_S = 50
OWNERS = (
    "INSERT INTO crm.customers (customer_id, user_id, full_name, email, timezone) "
    "SELECT n, lpad(to_hex(n), 32, '0')::uuid, 'Wearer ' || n, n || '@example.org', (%(zones)s::text[])[1 + n %% cardinality(%(zones)s::text[])] FROM generate_series(%(first)s::bigint, %(last)s) n",
    "INSERT INTO crm.prostheses (prosthesis_id, model, serial_number) "
    "SELECT n, 'Hand X1', 'BENCH-' || n FROM generate_series(%(first)s::bigint, %(last)s) n",
    "INSERT INTO crm.contracts (contract_id, number, customer_id, prosthesis_id, starts_at) "
    "SELECT n, 'B-' || n, n, n, '2020-01-01' FROM generate_series(%(first)s::bigint, %(last)s) n",
)
EVENTS = """
WITH events AS MATERIALIZED (SELECT random() AS chance FROM generate_series(1, %(rows)s)),
     kinds AS MATERIALIZED (SELECT CASE WHEN chance < 0.7 THEN 'signal' WHEN chance < 0.85 THEN 'battery' WHEN chance < 0.95 THEN 'location' ELSE 'error' END AS kind FROM events)
INSERT INTO telemetry.telemetry_events (prosthesis_id, recorded_at, kind, amplitude_uv, movement_recognised, active_ms, battery_percent, error_code, error_severity, latitude, longitude)
SELECT %(first)s + floor(random() * %(prostheses)s)::bigint, clock_timestamp() - %(days)s * interval '1 day', kind,
       CASE WHEN kind = 'signal' THEN floor(random() * 20000)::int END, CASE WHEN kind = 'signal' THEN random() < 0.85 END,
       CASE WHEN kind = 'signal' THEN floor(random() * 4000)::int END, CASE WHEN kind = 'battery' THEN floor(random() * 101)::smallint END,
       CASE WHEN kind = 'error' THEN 'E-17' END, CASE WHEN kind = 'error' THEN 'warning' END,
       CASE WHEN kind = 'location' THEN 55.5 + random() / 2 END, CASE WHEN kind = 'location' THEN 37.3 + random() / 2 END
FROM kinds
"""

Connection = psycopg.Connection[tuple[Any, ...]]


@dataclass(frozen=True)
class Fleet:
    """Prostheses ``first`` … ``first + count - 1``, each with a customer of its own."""

    first: int
    count: int


@contextmanager
def connected(servers: Servers, database: str, account: str) -> Iterator[Connection]:
    """A connection that commits each statement."""
    instance = servers.instance
    password = instance.secrets[account]
    with psycopg.connect(
        host=LOOPBACK, port=instance.ports["postgres"], dbname=database, user=account, password=password, autocommit=True
    ) as connection:
        yield connection


def make_owners(servers: Servers, fleet: Fleet, zones: Sequence[str] = ("UTC",)) -> None:
    """Customers, in turn of *zones*, prostheses and contracts of *fleet*; returns when the processor knows who owns what, and so must be running.

    Raises SubjectFailedError where that takes too long.
    """
    began, limit = time.monotonic(), OWNED_LIMIT_S + fleet.count / SLOWEST_OWNERS_PER_S
    with connected(servers, "crm", "crm_app") as crm:
        for statement in OWNERS:
            crm.execute(statement.encode(), {"first": fleet.first, "last": fleet.first + fleet.count - 1, "zones": list(zones)})
    last = fleet.first + fleet.count - 1
    query = "SELECT uniqExact(prosthesis_id) FROM bionicpro_g1.ownership WHERE toUInt64(prosthesis_id) BETWEEN %(first)s AND %(last)s AND document LIKE %(owned)s"
    with servers.clickhouse("auditor") as client:
        while (known := client.execute(query, {"first": fleet.first, "last": last, "owned": '%"user_id"%'})[0][0]) < fleet.count:
            if time.monotonic() - began > limit:
                raise SubjectFailedError(f"the processor knows the owners of {known} of {fleet.count} prostheses after {limit:.0f} s")
            time.sleep(0.5)
    progress(f"the owners of {fleet.count:,} prostheses are known after {time.monotonic() - began:.1f} s")


def insert(telemetry: Connection, fleet: Fleet, rows: int, days: float = 0.0) -> None:
    """*rows* events of now, or of *days* ago, in one statement and one commit, made by the server itself: the cheapest load there is."""
    if rows:
        telemetry.execute(EVENTS.encode(), {"rows": rows, "first": fleet.first, "prostheses": fleet.count, "days": days})


def insert_many(servers: Servers, fleet: Fleet, rows: int, days: int = 0) -> None:
    """*rows* events as fast as PostgreSQL takes them, ROWS_PER_COMMIT at a time: of now, or as they came in the last *days*."""
    with connected(servers, "telemetry", "telemetry_ingest") as telemetry:
        for done in range(0, rows, ROWS_PER_COMMIT):
            insert(telemetry, fleet, min(ROWS_PER_COMMIT, rows - done), days * (1 - done / rows))


class Generator:
    """Inserts *rate* events a second from a thread until stopped. What it could not keep up with it makes up for, at most one second's worth."""

    def __init__(self, servers: Servers, fleet: Fleet, rate: float) -> None:
        self._servers, self._fleet, self._rate = servers, fleet, rate
        self._stop = Event()
        self._thread = Thread(target=self._run, name="generator", daemon=True)
        self._error: Exception | None = None
        self.inserted = 0

    def __enter__(self) -> Generator:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            with connected(self._servers, "telemetry", "telemetry_ingest") as telemetry:
                began, offset = time.monotonic(), 0.0
                while not self._stop.wait(TICK_S):
                    due = int((time.monotonic() - began - offset) * self._rate) - self.inserted
                    if due > self._rate:
                        offset += (due - self._rate) / self._rate
                        due = int(self._rate)
                    insert(telemetry, self._fleet, due)
                    self.inserted += due
        except psycopg.Error as error:
            self._error = error

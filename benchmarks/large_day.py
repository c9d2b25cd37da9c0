"""``large-day``: how fresh another prosthesis is while a day of two million events of one prosthesis is computed anew in parts (ADR 51), and how long that takes."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from threading import Event, Thread

from clickhouse_driver import Client

from benchmarks.mart import LIMIT_S, counted, until_counted
from benchmarks.results import Failure, Result, versions_of
from benchmarks.servers import Servers, pipe, progress
from benchmarks.source import Connection, Fleet, Generator, connected, insert, insert_many, make_owners
from benchmarks.worker import SubjectFailedError
from reconciliation.commands import send_located
from schemas.commands import Recompute
from schemas.keys import LOG_TOPIC, partition_of, prosthesis_key
from schemas.topics import log_partitions
from service_kit.percentiles import told

BENCH = "large-day"
EVENTS = 2_000_000
QUIET_S = 20.0
RATE = 50.0  # of the large prosthesis, while its day is computed anew


def _elsewhere(prosthesis: int) -> int:
    """A prosthesis in another partition: that of a large day goes on when it is done."""
    there = partition_of(prosthesis_key(prosthesis), log_partitions())
    return next(n for n in range(prosthesis + 1, prosthesis + 100) if partition_of(prosthesis_key(n), log_partitions()) != there)


LARGE = Fleet(700_001, 1)
WATCHED = Fleet(_elsewhere(LARGE.first), 1)


def run(events: int | None) -> Iterator[Result | Failure]:
    count = events or EVENTS
    with pipe() as servers, servers.clickhouse("auditor") as client:
        for fleet in (LARGE, WATCHED):
            make_owners(servers, fleet)
        progress(f"inserting {count:,} events of one prosthesis")
        insert_many(servers, LARGE, count)
        until_counted(client, LARGE, count, 0.2)
        yield _watched(servers, "alone", count, lambda: time.sleep(QUIET_S))
        yield _watched(servers, "beside the recompute", count, lambda: _computed_anew(servers, client))
        with Generator(servers, LARGE, RATE) as generator:
            yield _watched(servers, f"beside it, and {RATE:.0f} events/s of its own", count, lambda: _computed_anew(servers, client))
        until_counted(client, LARGE, count + generator.inserted, 0.2)  # every event is counted once


def _watched(servers: Servers, subject: str, count: int, work: Callable[[], object]) -> Result:
    """*work*, and meanwhile one event after the other of WATCHED, each until the mart has it."""
    stop = Event()
    waits: list[float] = []
    errors: list[Exception] = []

    def watch() -> None:
        try:
            with connected(servers, "telemetry", "telemetry_ingest") as telemetry, servers.clickhouse("auditor") as client:
                while not stop.is_set():
                    waits.append(_seen(telemetry, client))
        except Exception as error:
            errors.append(error)

    watching = Thread(target=watch, name="watched", daemon=True)
    watching.start()
    before, began = servers.usage("processor"), time.monotonic()
    try:
        work()
        wall, after = time.monotonic() - began, servers.usage("processor")
    finally:
        stop.set()
        watching.join(LIMIT_S)
    if errors:
        raise SubjectFailedError(f"{subject}: {errors[0]}")
    return Result(
        BENCH,
        subject,
        count,
        wall,
        after.cpu_s - before.cpu_s,
        peak_rss_mib=after.peak_rss_mib,
        percentiles_ms=told(waits),
        figures={"events_watched": len(waits)},
        versions=versions_of(),
    )


def _seen(telemetry: Connection, client: Client) -> float:
    """Seconds from the commit of an event of WATCHED until its report counts it."""
    expected = counted(client, WATCHED) + 1
    insert(telemetry, WATCHED, 1)
    return until_counted(client, WATCHED, expected)


def _computed_anew(servers: Servers, client: Client) -> None:
    """Everything of LARGE is computed anew, and acknowledged."""
    command = Recompute(command_id=f"bench-{uuid.uuid4()}", prosthesis_id=str(LARGE.first), reason="benchmark")
    _, places = send_located(servers.kafka, [command])
    query = "SELECT max(handled_offset) FROM bionicpro.partition_progress WHERE topic = %(topic)s AND log_partition = %(partition)s"
    until = time.monotonic() + LIMIT_S
    for partition, offset in places.items():
        while client.execute(query, {"topic": LOG_TOPIC, "partition": partition})[0][0] < offset:
            if time.monotonic() > until:
                raise SubjectFailedError(f"the day was not computed anew within {LIMIT_S:.0f} s")
            time.sleep(0.05)

"""``recovery``: how long the log's events take to be folded from the beginning, and how long the mart is behind after ``kill -9`` of the worker."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

from clickhouse_driver import Client

from benchmarks.endtoend import least_as_of
from benchmarks.expected import METRICS, check, mart_of, recomputed
from benchmarks.log import fill
from benchmarks.results import Failure, Result, versions_of
from benchmarks.servers import Servers, progress, started
from benchmarks.source import Fleet, Generator, make_owners
from benchmarks.telemetry import generate
from benchmarks.worker import SubjectFailedError
from local import supervision
from local.steps import PIPE
from schemas.keys import LOG_TOPIC
from service_kit.percentiles import told

BENCH = "recovery"
EVENTS = 2_000_000
REBUILT = 5_000
RATE = 2_000.0
KILLS = 5
FRESH_LIMIT_S = 120.0
REBUILD_LIMIT_S = 1_200.0
BETWEEN_S = 5.0
LOOK_S = 0.05
FIRST_OF_SOURCE = 100_001  # prostheses of the live load; the preloaded log has those below


def run(events: int | None) -> Iterator[Result | Failure]:
    with started(("postgres", "kafka", "connect", "clickhouse"), PIPE) as servers:
        yield _rebuild(servers, events or EVENTS)
        yield _kills(servers)


def _rebuild(servers: Servers, count: int) -> Result:
    """From an empty mart: the supervisor starts the worker, and all *count* events of the log are folded."""
    generated = generate(count, REBUILT)
    progress(f"writing {count:,} events to {LOG_TOPIC}")
    filled = fill(servers.kafka, generated, REBUILT)
    began = time.monotonic()
    supervision.start_programs(servers.instance, ["processor"])
    with servers.clickhouse("auditor") as client:
        until = began + REBUILD_LIMIT_S
        query = "SELECT log_partition, handled_offset FROM bionicpro.partition_progress WHERE topic = %(topic)s"
        while any(
            {int(p): int(o) for p, o in client.execute(query, {"topic": LOG_TOPIC})}.get(p, -1) < end for p, end in filled.ends.items()
        ):
            if time.monotonic() > until:
                raise SubjectFailedError(f"{count} events were not handled within {REBUILD_LIMIT_S:.0f} s")
            time.sleep(0.2)
        wall = time.monotonic() - began
        rows = client.execute(f"SELECT user_id, report_date, prosthesis_id, {', '.join(METRICS)} FROM bionicpro.user_daily_reports")
    check("bionicpro", mart_of(rows), recomputed(generated))
    usage = servers.usage("processor")
    figures = {"events_per_s": count / wall}
    return Result(BENCH, "rebuild", count, wall, usage.cpu_s, peak_rss_mib=usage.peak_rss_mib, figures=figures, versions=versions_of())


def _kills(servers: Servers) -> Result:
    """The supervised worker under load, killed again and again; fresh: every partition is beyond the moment of the kill."""
    fleet = Fleet(FIRST_OF_SOURCE, 500)
    make_owners(servers, fleet)
    seconds: list[float] = []
    with Generator(servers, fleet, RATE) as generator, servers.clickhouse("auditor") as client:
        _fresh(client, time.time())
        for number in range(KILLS):
            time.sleep(BETWEEN_S)
            os.kill(servers.pids()["processor"], signal.SIGKILL)
            seconds.append(_fresh(client, time.time()))
            progress(f"kill {number + 1} of {KILLS}: fresh after {seconds[-1]:.1f} s")
        events = generator.inserted
    figures = {"kills": KILLS, "rate": RATE, "fresh_after_s_max": max(seconds)}
    return Result(BENCH, "kill -9", events, sum(seconds), percentiles_ms=told(seconds), figures=figures, versions=versions_of())


def _fresh(client: Client, moment: float) -> float:
    """Seconds until the mart holds everything committed before *moment* (seconds since 1970)."""
    began = time.monotonic()
    while least_as_of(client) < moment:
        if time.monotonic() - began > FRESH_LIMIT_S:
            raise SubjectFailedError(f"not fresh again {FRESH_LIMIT_S:.0f} s after kill -9")
        time.sleep(LOOK_S)
    return time.monotonic() - began

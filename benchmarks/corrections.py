"""``corrections``: an event of today deleted, until its report no longer counts it, of a prosthesis that is new and of one with a long history (ADR 52)."""

from __future__ import annotations

import time
from collections.abc import Iterator

from clickhouse_driver import Client

from benchmarks.mart import counted, until_counted
from benchmarks.results import Failure, Result, versions_of
from benchmarks.servers import Servers, pipe, progress
from benchmarks.source import Connection, Fleet, connected, insert_many, make_owners
from service_kit.percentiles import told

BENCH = "corrections"
EVENTS, DAYS = 2_000_000, 180
OF_TODAY = 1_000
CORRECTIONS = 200
NEW, OLD = Fleet(710_001, 1), Fleet(710_002, 1)
LATEST = "SELECT event_id FROM telemetry.telemetry_events WHERE prosthesis_id = %s ORDER BY event_id DESC LIMIT %s"
DELETE = "DELETE FROM telemetry.telemetry_events WHERE event_id = %s"


def run(events: int | None) -> Iterator[Result | Failure]:
    count = events or EVENTS
    with pipe() as servers, servers.clickhouse("auditor") as client:
        for fleet in (NEW, OLD):
            make_owners(servers, fleet)
        progress(f"inserting {count:,} events of {DAYS} days of one prosthesis")
        insert_many(servers, OLD, count, DAYS)
        for fleet, history in ((NEW, 0), (OLD, count)):
            insert_many(servers, fleet, OF_TODAY)
            until_counted(client, fleet, history + OF_TODAY, 0.2)
        servers.quiet_store()
        with connected(servers, "telemetry", "telemetry_ingest") as telemetry:
            yield _corrected(servers, client, telemetry, NEW, "no history")
            yield _corrected(servers, client, telemetry, OLD, f"{count:,} events of {DAYS} days")


def _corrected(servers: Servers, client: Client, telemetry: Connection, fleet: Fleet, subject: str) -> Result:
    """One event of *fleet* after the other."""
    events = [row[0] for row in telemetry.execute(LATEST, (fleet.first, CORRECTIONS))]
    left = counted(client, fleet)
    before, began = (servers.usage("processor"), servers.usage("clickhouse")), time.monotonic()
    waits: list[float] = []
    for event in events:
        left -= 1
        telemetry.execute(DELETE, (event,))
        waits.append(until_counted(client, fleet, left))
    wall, after = time.monotonic() - began, (servers.usage("processor"), servers.usage("clickhouse"))
    cpu, store = (then.cpu_s - earlier.cpu_s for earlier, then in zip(before, after, strict=True))
    return Result(
        BENCH, subject, len(events), wall, cpu, store_cpu_s=store, peak_rss_mib=after[0].peak_rss_mib, percentiles_ms=told(waits),
        versions=versions_of(),
    )  # fmt: skip

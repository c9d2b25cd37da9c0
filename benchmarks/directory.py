"""``directory``: a CRM that comes all at once, and then one change of a customer after the other, until the ownership documents are in ClickHouse (ADR 53)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from clickhouse_driver import Client

from benchmarks.results import Failure, Result, versions_of
from benchmarks.servers import Servers, pipe
from benchmarks.source import Connection, Fleet, connected, make_owners
from benchmarks.worker import SubjectFailedError
from service_kit.percentiles import told

BENCH = "directory"
CUSTOMERS = 8_000
CHANGES = 50
ZONE = "Asia/Kolkata"
LIMIT_S = 60.0
LOOK_S = 0.002
CHANGE = "UPDATE crm.customers SET timezone = %s WHERE customer_id = %s"
CHANGED = "SELECT count() FROM bionicpro_g1.ownership WHERE prosthesis_id = %(prosthesis)s AND document LIKE %(zone)s"


def run(events: int | None) -> Iterator[Result | Failure]:
    """*events*: customers, each with a prosthesis and a contract."""
    fleet = Fleet(1, events or CUSTOMERS)
    with pipe() as servers:
        yield _counted(servers, "a first copy", 3 * fleet.count, lambda: make_owners(servers, fleet))
        with connected(servers, "crm", "crm_app") as crm, servers.clickhouse("auditor") as client:
            changes = min(CHANGES, fleet.count)
            yield _counted(servers, "one change of a time zone", changes, lambda: _waits(crm, client, fleet, changes))


def _counted(servers: Servers, subject: str, rows: int, work: Callable[[], list[float] | None]) -> Result:
    before, kafka, began = servers.usage("processor"), servers.usage("kafka"), time.monotonic()
    waits = work()
    wall, after = time.monotonic() - began, servers.usage("processor")
    figures = {"kafka_cpu_s": servers.usage("kafka").cpu_s - kafka.cpu_s}
    return Result(
        BENCH, subject, rows, wall, after.cpu_s - before.cpu_s, peak_rss_mib=after.peak_rss_mib, percentiles_ms=told(waits) if waits else {},
        figures=figures, versions=versions_of(),
    )  # fmt: skip


def _waits(crm: Connection, client: Client, fleet: Fleet, changes: int) -> list[float]:
    """Seconds from the commit of a change of each of the first *changes* customers until the document has it."""
    waits: list[float] = []
    for one in range(fleet.first, fleet.first + changes):
        crm.execute(CHANGE, (ZONE, one))
        began = time.monotonic()
        while not client.execute(CHANGED, {"prosthesis": str(one), "zone": f"%{ZONE}%"})[0][0]:
            if time.monotonic() - began > LIMIT_S:
                raise SubjectFailedError(f"customer {one}'s time zone is not in the document after {LIMIT_S:.0f} s")
            time.sleep(LOOK_S)
        waits.append(time.monotonic() - began)
    return waits

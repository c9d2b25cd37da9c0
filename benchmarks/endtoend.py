"""``endtoend``: the whole system on this machine, the generator too. PostgreSQL commit → visible through the reports service.

Marks of wearers of their own are committed beside the load and looked for at the service; how often it is looked adds up to ten milliseconds
and a request. Then the rate is raised until it no longer holds, and the highest that held is kept up for some minutes.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Thread

from clickhouse_driver import Client
from pydantic import SecretStr

from benchmarks.results import Failure, Result, versions_of
from benchmarks.servers import LOOPBACK, Servers, pipe, progress
from benchmarks.service import ReportsService, TodayObserver, reports_service
from benchmarks.source import Fleet, Generator, make_owners
from benchmarks.worker import SubjectFailedError
from cli.probe.observers import ObserverError
from cli.probe.run import Outcome, Plan, measure
from schemas.keys import LOG_TOPIC
from service_kit.percentiles import percentile, told
from service_kit.settings import PostgresSettings

BENCH = "endtoend"
RATES = (500, 2_000, 10_000)
CLIMB = (12_500, 15_000, 20_000, 25_000, 30_000)
FLEET = Fleet(1, 1_000)
PROBES = Fleet(900_001, 40)
MARKS_PER_S = 10.0
WARM_S = 10.0
SETTLE_S = 3.0
STEADY_S = 25.0
CLIMB_S = 15.0
DEADLINE_S = 60.0
HELD_P99_S = 5.0  # a rate holds if marks stay below this …
HELD_SHARE = 0.97  # … and the generator gets this much of it in
DRAIN_LIMIT_S = 300.0
COMPONENTS = ("postgres", "connect", "kafka", "processor", "clickhouse")


@dataclass(frozen=True)
class Load:
    """What one rate came to: events inserted, CPU-seconds by component, seconds of the marks, the greatest staleness seen."""

    rate: float
    events: int
    wall_s: float
    cpu_s: dict[str, float]
    marks: Outcome
    stalest_s: float
    drain_s: float

    @property
    def held(self) -> bool:
        seconds = self.marks.seconds
        steady = not self.marks.missing and bool(seconds) and percentile(seconds, 99) <= HELD_P99_S
        return steady and self.events >= HELD_SHARE * self.rate * self.wall_s


class Stage:
    def __init__(self, servers: Servers, service: ReportsService) -> None:
        self._servers, self._service = servers, service
        self._probes = iter(range(PROBES.first, PROBES.first + PROBES.count))

    def load(self, rate: float, seconds: float) -> Load:
        """*rate* events a second for *seconds*, after a short settling; then wait until all of it is in the mart."""
        prosthesis = next(self._probes)
        observer = TodayObserver(self._service, user_of(prosthesis))
        plan = Plan(max(1, int(seconds * MARKS_PER_S)), MARKS_PER_S, DEADLINE_S)
        with Generator(self._servers, FLEET, rate) as generator, Staleness(self._servers) as staleness:
            time.sleep(SETTLE_S)
            before, inserted, began = self._cpu(), generator.inserted, time.monotonic()
            marks = measure(self._telemetry(), prosthesis, observer, plan, keep=True)
            after, events, wall = self._cpu(), generator.inserted - inserted, time.monotonic() - began
            stalest = staleness.worst_s
        drain = self._drain()
        spent = {part: after[part] - before[part] for part in after}
        progress(f"{rate:,.0f} events/s: {events / wall:,.0f} inserted a second, {told(marks.seconds)}, drained in {drain:.1f} s")
        return Load(rate, events, wall, spent, marks, stalest, drain)

    def _cpu(self) -> dict[str, float]:
        servers = {part: self._servers.usage(part).cpu_s for part in COMPONENTS}
        return servers | {"reports_api": self._service.usage().cpu_s, "generator_and_marks": time.process_time()}

    def _drain(self) -> float:
        """Seconds until everything committed before now is in the mart."""
        began, now = time.monotonic(), time.time()
        with self._servers.clickhouse("auditor") as client:
            while least_as_of(client) < now:
                if time.monotonic() - began > DRAIN_LIMIT_S:
                    raise SubjectFailedError(f"the mart is not up to date {DRAIN_LIMIT_S:.0f} s after the load ended")
                time.sleep(0.1)
        return time.monotonic() - began

    def _telemetry(self) -> PostgresSettings:
        instance = self._servers.instance
        secret = SecretStr(instance.secrets["telemetry_ingest"])
        return PostgresSettings(
            host=LOOPBACK,
            port=instance.ports["postgres"],
            database="telemetry",
            user="telemetry_ingest",
            password=secret,
            sslmode="disable",
        )


class Staleness:
    """Looks once a second how old the oldest partition's data is."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        self._stop = Event()
        self._thread = Thread(target=self._watch, name="staleness", daemon=True)
        self.worst_s = 0.0

    def __enter__(self) -> Staleness:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10)

    def _watch(self) -> None:
        with self._servers.clickhouse("auditor") as client:
            while not self._stop.wait(1.0):
                self.worst_s = max(self.worst_s, time.time() - least_as_of(client))


def least_as_of(client: Client) -> float:
    """The source time up to which every partition is in the mart, in seconds since 1970."""
    query = "SELECT toFloat64(min(as_of)), count() FROM bionicpro.partition_progress WHERE topic = %(topic)s"
    seconds, partitions = client.execute(query, {"topic": LOG_TOPIC})[0]
    return float(seconds) if partitions else 0.0


def user_of(prosthesis: int) -> str:
    """The user that make_owners gives the prosthesis."""
    text = f"{prosthesis:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


@contextmanager
def running_system() -> Iterator[tuple[Servers, ReportsService]]:
    """Pipe, processor and reports service, with the owners of FLEET and PROBES known."""
    with pipe() as servers:
        for fleet in (FLEET, PROBES):
            make_owners(servers, fleet)
        with reports_service(servers) as service:
            yield servers, service


def run(events: int | None, minutes: float, rates: tuple[int, ...] = RATES) -> Iterator[Result | Failure]:
    """*events*, where given, bounds each rate's events, for a quick look; the sustained part takes *minutes*, 0: none."""
    with running_system() as (servers, service):
        stage = Stage(servers, service)
        try:
            progress("warming up")
            stage.load(2_000, WARM_S if events is None else 2.0)
            highest = None
            for rate in rates:
                load = stage.load(rate, STEADY_S if events is None else max(1.0, events / rate))
                yield _result(servers, f"{rate}/s", load)
                highest = rate if load.held else highest
            if minutes > 0:
                yield _sustained(servers, stage, highest, minutes)
        except ObserverError as error:
            yield Failure(BENCH, "bionicpro", str(error))


def _sustained(servers: Servers, stage: Stage, highest: int | None, minutes: float) -> Result | Failure:
    """Climb from *highest* as long as rates hold, then keep the last one up; a lower one where it does not hold that long."""
    held = [rate for rate in (highest,) if rate is not None]
    if held and held[-1] == max(RATES):
        for rate in CLIMB:
            if not stage.load(rate, CLIMB_S).held:
                break
            held.append(rate)
    for rate in reversed(held):
        load = stage.load(rate, minutes * 60)
        if load.held:
            return _result(servers, f"sustained {minutes:g} min", load)
    return Failure(BENCH, f"sustained {minutes:g} min", f"no rate held; tried {held or RATES}")


def _result(servers: Servers, subject: str, load: Load) -> Result:
    figures: dict[str, float | int | str] = {
        "rate_asked": load.rate,
        "rate_inserted": load.events / load.wall_s,
        "held": "yes" if load.held else "no",
        "marks": len(load.marks.seconds),
        "marks_missing": load.marks.missing,
        "stalest_s": load.stalest_s,
        "drain_s": load.drain_s,
        "mean_ms": 1000 * statistics.fmean(load.marks.seconds) if load.marks.seconds else 0.0,
        **{f"{part}_us_an_event": 1e6 * seconds / max(1, load.events) for part, seconds in load.cpu_s.items()},
    }
    cpu = sum(load.cpu_s.values())
    peak = servers.usage("processor").peak_rss_mib
    return Result(
        BENCH,
        subject,
        load.events,
        load.wall_s,
        cpu,
        peak_rss_mib=peak,
        percentiles_ms=told(load.marks.seconds),
        figures=figures,
        versions=versions_of(),
    )

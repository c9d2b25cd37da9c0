"""``growth``: what an event costs the processor as days grow, as (prosthesis, day) pairs grow, and with a second worker.

One log. Events come in stages; each stage is written, handled to its end, and the worker's CPU divided by its events.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace

import numpy as np
from clickhouse_driver import Client

from benchmarks.log import LogWriter, write_events, write_owners
from benchmarks.results import Failure, Result, WrongResultsError, versions_of
from benchmarks.servers import SCHEMA_AND_TOPICS, Servers, progress, started
from benchmarks.telemetry import Events, generate
from benchmarks.worker import Worker, make_generation, worker

BENCH = "growth"
EVENTS = 200_000  # a stage
FLEET = 5_000  # prostheses of ordinary stages
SHORT_DAY_FLEET = 100  # half the events: a day of 1,000 each
SHORT_DAY_FIRST = 100_001
LONG_DAY_FLEET = 10
LONG_DAY_FIRST = 200_001
LONG_DAY_STAGES = 10  # of half the events: 10 × 10,000 a prosthesis, a day of 100,000
PAIR_FLEET = 10_000
PAIR_FIRST = 300_001
PAIR_DAYS = 100
LIMIT_S = 900.0
DAY_US = 86_400_000_000


@dataclass
class Stage:
    """The log so far: who owns what is in it, and the next event id."""

    servers: Servers
    client: Client
    writer: LogWriter
    events: int
    next_id: int = 1

    def write(self, events: Events) -> Events:
        """*events* with ids that follow those before."""
        numbered = replace(events, first_id=self.next_id)
        write_events(self.writer, numbered)
        self.next_id += len(numbered)
        return numbered

    def owners(self, first: int, count: int) -> None:
        write_owners(self.writer, range(first, first + count))


def run(events: int | None) -> Iterator[Result | Failure]:
    with started(("kafka", "clickhouse"), SCHEMA_AND_TOPICS) as servers, servers.clickhouse() as client:
        stage = Stage(servers, client, LogWriter(servers.kafka), events or EVENTS)
        stage.owners(1, FLEET)
        stage.write(generate(2 * stage.events, FLEET))
        yield from _workers(stage)
        with worker(servers, 1) as running:
            _handled(stage, running, generate(stage.events, FLEET, seed=5), "warming up")
            yield from _long_days(stage, running)
            yield from _pairs(stage, running)
        _check(stage)


def _workers(stage: Stage) -> Iterator[Result]:
    """The same log by one worker, and by two of another group."""
    for generation, count in ((1, 1), (2, 2)):
        make_generation(stage.servers, generation)
        stage.servers.quiet_store()
        with ExitStack() as stack:
            running = [
                stack.enter_context(worker(stage.servers, generation, INSTANCE_ID=f"bench-{generation}-{one}")) for one in range(count)
            ]
            began = time.monotonic()
            running[0].wait_handled(stage.client, stage.writer.ends, LIMIT_S)
            usages = [one.usage() for one in running]
            wall = time.monotonic() - began
        cpu = sum(usage.cpu_s - one.startup_cpu_s for usage, one in zip(usages, running, strict=True))
        yield _result(f"{count} worker{'s' if count > 1 else ''}", 2 * stage.events, wall, cpu, max(usage.peak_rss_mib for usage in usages))


def _long_days(stage: Stage, running: Worker) -> Iterator[Result]:
    """A short day of many prostheses; then ten whose day becomes ever longer, in stages of as many events: the first and the last are told."""
    stage.owners(SHORT_DAY_FIRST, SHORT_DAY_FLEET)
    stage.owners(LONG_DAY_FIRST, LONG_DAY_FLEET)
    short = generate(stage.events // 2, SHORT_DAY_FLEET, seed=99)
    name = f"day of {len(short) // SHORT_DAY_FLEET:,} events"
    yield _handled(stage, running, replace(short, prosthesis=short.prosthesis + SHORT_DAY_FIRST - 1), name)
    for number in range(LONG_DAY_STAGES):
        wave = generate(stage.events // 2, LONG_DAY_FLEET, seed=100 + number)
        result = _handled(
            stage, running, replace(wave, prosthesis=wave.prosthesis + LONG_DAY_FIRST - 1), f"day of {_day(stage, number + 1):,} events"
        )
        if number in {0, LONG_DAY_STAGES - 1}:
            yield result


def _day(stage: Stage, stages: int) -> int:
    return stages * (stage.events // 2) // LONG_DAY_FLEET


def _pairs(stage: Stage, running: Worker) -> Iterator[Result]:
    """Ordinary load before and after a million more pairs are known, and load that is spread over all of them."""
    yield _handled(stage, running, generate(stage.events, FLEET, seed=7), f"{FLEET:,} pairs")
    pairs = PAIR_FLEET * PAIR_DAYS * stage.events // EVENTS
    stage.owners(PAIR_FIRST, PAIR_FLEET)
    yield _handled(stage, running, _once_each(pairs), f"{pairs:,} new pairs, one event each")
    yield _handled(stage, running, generate(stage.events, FLEET, seed=8), f"{FLEET:,} pairs of {pairs:,} known")
    chosen = np.random.default_rng(9).integers(0, pairs, stage.events)
    yield _handled(stage, running, _at_pairs(generate(stage.events, 1, seed=9), chosen), f"all of {pairs:,} pairs")


def _once_each(pairs: int) -> Events:
    return _at_pairs(generate(pairs, 1, seed=6), np.arange(pairs))


def _at_pairs(events: Events, pairs: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Events:
    """*events* moved to the prosthesis and the day, some days ago, of each pair."""
    return replace(events, prosthesis=PAIR_FIRST + pairs % PAIR_FLEET, at_us=events.at_us - (1 + pairs // PAIR_FLEET) * DAY_US)


def _handled(stage: Stage, running: Worker, events: Events, name: str) -> Result:
    """Write *events* and wait until the worker is through; its CPU meanwhile is what they cost."""
    stage.servers.quiet_store()
    began, before = time.monotonic(), running.usage().cpu_s
    stage.write(events)
    running.wait_handled(stage.client, stage.writer.ends, LIMIT_S)
    usage = running.usage()
    progress(f"{name}: {(usage.cpu_s - before) * 1e6 / len(events):.1f} µs an event")
    return _result(name, len(events), time.monotonic() - began, usage.cpu_s - before, usage.peak_rss_mib)


def _result(name: str, events: int, wall_s: float, cpu_s: float, peak_rss_mib: float) -> Result:
    figures: Mapping[str, float] = {"us_an_event": cpu_s * 1e6 / events}
    return Result(BENCH, name, events, wall_s, cpu_s, peak_rss_mib=peak_rss_mib, figures=figures, versions=versions_of())


def _check(stage: Stage) -> None:
    """Every event once in raw and once in the mart."""
    for table, what in (("telemetry_events", "count()"), ("user_daily_reports", "sum(event_count)")):
        found = stage.client.execute(f"SELECT {what} FROM bionicpro_g1.{table} FINAL")[0][0]
        if found != stage.next_id - 1:
            raise WrongResultsError(f"{table} holds {found} events instead of {stage.next_id - 1}: the costs above do not count")

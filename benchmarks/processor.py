"""``processor``: one preloaded log, read from its beginning by the project and by its peers, in turn, each to a mart of its own.

The project does its full work: decode, join, duplicate check, fold, raw, states and mart in ClickHouse, acknowledged last. Peers fold and
write the mart alone. Every mart is held against a plain recomputation before a speed is reported.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clickhouse_driver import Client

from benchmarks import kafka_engine, peer_environment, programs
from benchmarks.expected import METRICS, Mart, check, mart_of, recomputed
from benchmarks.log import Filled, fill
from benchmarks.peer_environment import NoPeersError
from benchmarks.results import Failure, Result, WrongResultsError, versions_of
from benchmarks.servers import SCHEMA_AND_TOPICS, Servers, progress, started
from benchmarks.telemetry import Events, generate, owner_of
from benchmarks.worker import SubjectFailedError, make_generation, worker
from local import paths
from schemas.keys import LOG_TOPIC

BENCH = "processor"
EVENTS = 1_000_000
PROSTHESES = 5_000
GUIDE_EVENTS = 50_000  # Faust one event at a time: more would only take longer
LIMIT_S = 900.0
DATABASE = "bench"
PROGRAMS = {"faust": "benchmarks.peers.faust_guide", "quix": "benchmarks.peers.quix", "bytewax": "benchmarks.peers.bytewax_flow"}
SUBJECTS = ("bionicpro", "confluent-decode", "clickhouse", "quix", "bytewax", "faust")
MART_TABLE = f"""CREATE OR REPLACE TABLE {DATABASE}.{{name}}
(user_id String, report_date Date32, prosthesis_id String, {", ".join(f"{metric} UInt64" for metric in METRICS)})
ENGINE = ReplacingMergeTree(event_count) ORDER BY (user_id, report_date, prosthesis_id) SETTINGS index_granularity = 256"""


@dataclass(frozen=True)
class Stage:
    """What all subjects share: the servers, the log and what it must come to."""

    servers: Servers
    client: Client
    events: Events
    prostheses: int
    filled: Filled

    def expected(self, counts: Mapping[int, int] | None = None) -> Mart:
        return recomputed(self.events, None if counts is None else self.filled.first_events(counts))


def run(events: int | None, subjects: tuple[str, ...] | None = None) -> Iterator[Result | Failure]:
    """One outcome a subject, in the order of *subjects*."""
    count = events or EVENTS
    prostheses = min(PROSTHESES, max(200, count // 100))
    with started(("kafka", "clickhouse"), SCHEMA_AND_TOPICS) as servers, servers.clickhouse() as client:
        progress(f"writing {count:,} events of {prostheses:,} prostheses to {LOG_TOPIC}")
        generated = generate(count, prostheses)
        stage = Stage(servers, client, generated, prostheses, fill(servers.kafka, generated, prostheses))
        client.execute(f"CREATE DATABASE {DATABASE}")
        for name in subjects or SUBJECTS:
            yield _measured(name, stage)


def _measured(name: str, stage: Stage) -> Result | Failure:
    progress(f"{name} begins")
    stage.servers.quiet_store()
    own: dict[str, Callable[[Stage], Result]] = {"bionicpro": bionicpro, "confluent-decode": decode_only, "clickhouse": clickhouse}
    try:
        return own[name](stage) if name in own else peer(name, stage)
    except (SubjectFailedError, WrongResultsError, NoPeersError) as error:
        return Failure(BENCH, name, str(error))


class Store:
    """What ClickHouse spends from now on, merges of what was written included."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        self._before = servers.usage("clickhouse").cpu_s

    def spent(self) -> float:
        self._servers.quiet_store()
        return self._servers.usage("clickhouse").cpu_s - self._before


def bionicpro(stage: Stage) -> Result:
    """The real worker with its default settings, from the beginning of the log until its progress says that it is at the end."""
    generation = 1
    make_generation(stage.servers, generation)
    store, samples = Store(stage.servers), list[tuple[int, float]]()
    with worker(stage.servers, generation) as running:
        began = time.monotonic()
        running.wait_handled(stage.client, stage.filled.ends, LIMIT_S, lambda handled: samples.append((handled, running.usage().cpu_s)))
        wall, usage = time.monotonic() - began, running.usage()
    spent = store.spent()
    rows = stage.client.execute(
        f"SELECT user_id, report_date, prosthesis_id, {', '.join(METRICS)} FROM {running.database}.user_daily_reports FINAL"
    )
    check("bionicpro", mart_of(rows), stage.expected())
    raw = stage.client.execute(f"SELECT count() FROM {running.database}.telemetry_events FINAL")[0][0]
    if raw != len(stage.events):
        raise WrongResultsError(f"bionicpro: {raw} rows of raw telemetry instead of {len(stage.events)}")
    return Result(
        BENCH, "bionicpro", len(stage.events), wall, usage.cpu_s - running.startup_cpu_s, running.startup_cpu_s, spent, usage.peak_rss_mib,
        figures=_steady(samples), versions=versions_of("faust-streaming", "aiokafka", "numpy", "clickhouse-driver", "msgspec"),
    )  # fmt: skip


def _steady(samples: list[tuple[int, float]]) -> dict[str, float]:
    """The rate from the first tenth of the log on: without joining the group, first use of code and filling of caches."""
    end, last_cpu = samples[-1]
    begin, first_cpu = next(sample for sample in samples if sample[0] >= end // 10)
    return {"steady_events_per_cpu_s": (end - begin) / (last_cpu - first_cpu)} if last_cpu > first_cpu else {}


def clickhouse(stage: Stage) -> Result:
    """ClickHouse's Kafka engine with materialized views into raw and an aggregating mart; all CPU is the server's."""
    kafka_engine.prepare(stage.client, stage.prostheses)
    store, began = Store(stage.servers), time.monotonic()
    kafka_engine.run(stage.servers, stage.client, len(stage.events), LIMIT_S)
    wall = time.monotonic() - began
    kafka_engine.stop(stage.client)
    spent = store.spent()
    check("clickhouse", kafka_engine.mart(stage.client), stage.expected())
    if (raw := kafka_engine.raw_rows(stage.client)) != len(stage.events):
        raise WrongResultsError(f"clickhouse: {raw} rows of raw telemetry instead of {len(stage.events)}")
    version = stage.client.execute("SELECT version()")[0][0]
    return Result(BENCH, "clickhouse", len(stage.events), wall, None, None, spent, versions={"clickhouse": version})


def decode_only(stage: Stage) -> Result:
    """No work at all: the limit of a Python reader."""
    ran = programs.run(
        paths.PYTHON, "benchmarks.peers.decode_only", _plan(stage, len(stage.events), "decode"), _folder(stage, "decode"), limit_s=LIMIT_S
    )
    events = stage.events
    wanted = {
        "ids": sum(range(events.first_id, events.first_id + len(events))),
        "amplitude": int(events.amplitude_uv[events.kind == 0].sum()),
    }
    found = {name: ran.said[name] for name in wanted}
    if found != wanted:
        raise WrongResultsError(f"confluent-decode: {found} instead of {wanted}")
    return _result("confluent-decode", len(events), ran, versions_of("confluent-kafka", "msgspec"))


def peer(name: str, stage: Stage) -> Result:
    """A stream processor that folds and writes the mart, and no more than that."""
    count = min(GUIDE_EVENTS, len(stage.events)) if name == "faust" else len(stage.events)
    python = paths.PYTHON if name == "faust" else peer_environment.python()
    stage.client.execute(MART_TABLE.format(name=name))
    store = Store(stage.servers)
    ran = programs.run(
        python,
        PROGRAMS[name],
        _plan(stage, count, name),
        _folder(stage, name),
        limit_s=LIMIT_S,
        arguments=("worker",) if name == "faust" else (),
    )
    spent = store.spent()
    handled = ran.said.get("handled")
    counts = None if handled is None else {int(partition): int(number) for partition, number in handled.items()}
    rows = stage.client.execute(f"SELECT user_id, report_date, prosthesis_id, {', '.join(METRICS)} FROM {DATABASE}.{name} FINAL")
    check(name, mart_of(rows), stage.expected(counts))
    packages = versions_of("faust-streaming", "aiokafka") if name == "faust" else peer_environment.versions(*_packages(name))
    return _result(name, count, ran, packages, spent)


def _packages(name: str) -> tuple[str, ...]:
    return ("quixstreams" if name == "quix" else "bytewax", "confluent-kafka")


def _result(name: str, events: int, ran: programs.Ran, versions: Mapping[str, str], store: float | None = None) -> Result:
    return Result(BENCH, name, events, ran.wall_s, ran.cpu_s, ran.startup_cpu_s, store, ran.peak_rss_mib, versions=versions)


def _plan(stage: Stage, events: int, name: str) -> dict[str, Any]:
    return {
        "kafka": stage.servers.kafka.librdkafka(),
        "topic": LOG_TOPIC,
        "group": f"bench-{name}",
        "records": stage.filled.records,
        "events": events,
        "owners": {one: (owner_of(one).user_id, owner_of(one).offset_s) for one in range(1, stage.prostheses + 1)},
        "clickhouse": stage.servers.clickhouse_account(),
        "table": f"{DATABASE}.{name}",
        "folder": str(_folder(stage, name) / "state"),
    }


def _folder(stage: Stage, name: str) -> Path:
    return stage.servers.instance.data(f"bench-{name}")

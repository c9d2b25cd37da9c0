"""``debezium``: PostgreSQL → Kafka by the connector as this project configures it, and by one with Debezium's default sizes and routing.

Both are exactly-once, read the same rows from the same WAL, one after the other, in the same warm Connect worker. The time is that between the
first and the last records' stamps, without the first and last twentieth.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import msgspec
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # its type hints do not mark re-exports
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)
from confluent_kafka.cimpl import NewTopic

from benchmarks.results import Failure, Result, WrongResultsError, versions_of
from benchmarks.servers import LOOPBACK, Servers, progress, started
from benchmarks.source import Fleet, connected, insert_many
from benchmarks.worker import SubjectFailedError
from connectors.accounts import CONNECT
from connectors.apply import Connect, Connector, read_connectors
from local.steps import PIPE
from schemas.keys import LOG_TOPIC
from schemas.topics import log_partitions

BENCH = "debezium"
EVENTS = 400_000
WARM_UP = 100_000
ROUNDS = 2  # the second in the other order
FLEET = Fleet(1, 5_000)
LIMIT_S = 300.0
DEFAULTS_TOPIC = "defaults.telemetry.telemetry_events"
STEPS = tuple(step for step in PIPE if step.needs[0] in {"postgres", "kafka"})
# What any connector to this database needs; all else is left to Debezium and Connect.
NEEDED = (
    "connector.class", "tasks.max", "exactly.once.support", "database.hostname", "database.port", "database.dbname", "database.user",
    "database.password", "database.sslmode", "plugin.name", "publication.name", "publication.autocreate.mode",
)  # fmt: skip


@dataclass
class Subject:
    """A connector, the topic its events go to, and what was measured of it."""

    connector: Connector
    topic: str
    events: int = 0
    seconds: float = 0.0
    cpu_s: float = 0.0
    rates: list[float] = field(default_factory=list)


class _Envelope(msgspec.Struct, gc=False):
    after: dict[str, Any] | None = None


def run(events: int | None) -> Iterator[Result | Failure]:
    count = (events or EVENTS) // ROUNDS
    with started(("postgres", "kafka", "connect"), STEPS) as servers:
        subjects = (_ours(), _defaults(servers))
        with Connect(_url(servers), login=_login(servers)) as connect:
            connect.apply([subject.connector for subject in subjects])
        for subject in subjects:
            _set_running(servers, subject, running=False)
        for number in range(ROUNDS + 1):
            rows = min(WARM_UP, count) if number == 0 else count
            progress(f"inserting {rows:,} rows {'to warm up' if number == 0 else f'for round {number}'}")
            _round(servers, subjects if number % 2 else subjects[::-1], rows, counted=number > 0)
        yield from (_result(servers, subject) for subject in subjects)


def _ours() -> Subject:
    config = next(one for one in read_connectors() if one.name == "telemetry").config
    return Subject(Connector("bionicpro", {**config, "snapshot.mode": "no_data", "slot.name": "bench_bionicpro"}), LOG_TOPIC)


def _defaults(servers: Servers) -> Subject:
    """Into a topic of its own with as many partitions, made beforehand as ours is."""
    admin = AdminClient(servers.kafka.librdkafka())
    for made in admin.create_topics([NewTopic(DEFAULTS_TOPIC, log_partitions(), 1)]).values():
        made.result(30)
    writes = [
        AclBinding(ResourceType.TOPIC, DEFAULTS_TOPIC, ResourcePatternType.LITERAL, f"User:{CONNECT}", "*", one, AclPermissionType.ALLOW)
        for one in (AclOperation.WRITE, AclOperation.DESCRIBE)
    ]
    for allowed in admin.create_acls(writes).values():
        allowed.result(30)
    config = next(one for one in read_connectors() if one.name == "telemetry").config
    own = {
        "topic.prefix": "defaults",
        "slot.name": "bench_defaults",
        "snapshot.mode": "no_data",
        "table.include.list": "telemetry.telemetry_events",
    }
    return Subject(Connector("debezium-defaults", {**{name: config[name] for name in NEEDED}, **own}), DEFAULTS_TOPIC)


def _round(servers: Servers, subjects: tuple[Subject, ...], rows: int, *, counted: bool) -> None:
    """Insert while both rest; then let each read what was inserted, alone."""
    with connected(servers, "telemetry", "telemetry_ingest") as telemetry:
        query = b"SELECT coalesce(max(event_id), 0) FROM telemetry.telemetry_events"
        before = _one(telemetry.execute(query).fetchone())
        insert_many(servers, FLEET, rows)
        wanted = telemetry.execute(
            b"SELECT count(*), sum(event_id), sum(amplitude_uv) FROM telemetry.telemetry_events WHERE event_id > %s", (before,)
        ).fetchone()
    for subject in subjects:
        ends = _ends(servers, subject.topic)
        cpu = servers.usage("connect").cpu_s
        _set_running(servers, subject, running=True)
        _wait_drained(servers, subject, sum(ends.values()) + rows)
        cpu = servers.usage("connect").cpu_s - cpu
        _set_running(servers, subject, running=False)
        found, seconds = _read(servers, subject.topic, ends, before)
        if wanted is None or found != tuple(int(value) for value in wanted):
            raise WrongResultsError(f"{subject.connector.name}: (rows, ids, amplitudes) are {found} instead of {wanted}")
        progress(f"{subject.connector.name}: {rows * 0.9 / seconds:,.0f} events/s{'' if counted else ' (warming up)'}")
        if counted:
            subject.events, subject.seconds, subject.cpu_s = subject.events + rows, subject.seconds + seconds / 0.9, subject.cpu_s + cpu
            subject.rates.append(rows * 0.9 / seconds)


def _result(servers: Servers, subject: Subject) -> Result:
    figures = {
        "events_per_s": subject.events / subject.seconds,
        "slowest_round_per_s": min(subject.rates),
        "fastest_round_per_s": max(subject.rates),
    }
    versions = versions_of() | {"debezium": "3.7.0.Final"}
    peak = servers.usage("connect").peak_rss_mib
    return Result(
        BENCH, subject.connector.name, subject.events, subject.seconds, subject.cpu_s, peak_rss_mib=peak, figures=figures, versions=versions
    )


def _set_running(servers: Servers, subject: Subject, *, running: bool) -> None:
    """Resume or stop the connector, and wait until its task is there or gone."""
    url = f"{_url(servers)}/connectors/{subject.connector.name}"
    until = time.monotonic() + LIMIT_S
    httpx.put(f"{url}/{'resume' if running else 'stop'}", auth=_login(servers), timeout=30).raise_for_status()
    wanted = ("RUNNING", True) if running else ("STOPPED", False)
    while True:
        status = httpx.get(f"{url}/status", auth=_login(servers), timeout=30).json()
        if (status["connector"]["state"], bool(status["tasks"])) == wanted:
            return
        if time.monotonic() > until:
            raise SubjectFailedError(f"connector {subject.connector.name} is {status} instead of {wanted}")
        time.sleep(0.1)


def _wait_drained(servers: Servers, subject: Subject, wanted: int) -> None:
    """Until the topic has *wanted* records or more and no longer grows: markers and heartbeats are in that number too."""
    until, still, last = time.monotonic() + LIMIT_S, 0, 0
    while still < 6:
        total = sum(_ends(servers, subject.topic).values())
        still = still + 1 if total >= wanted and total - last < 60 else 0
        last = total
        if time.monotonic() > until:
            raise SubjectFailedError(f"{subject.connector.name}: {total} of {wanted} records within {LIMIT_S:.0f} s")
        time.sleep(0.25)


def _ends(servers: Servers, topic: str) -> dict[int, int]:
    """The last committed offset of each partition."""
    consumer = Consumer(servers.kafka.consumer("bench-ends"))
    try:
        return {one: consumer.get_watermark_offsets(TopicPartition(topic, one), timeout=30)[1] for one in range(log_partitions())}
    finally:
        consumer.close()


def _read(servers: Servers, topic: str, begins: dict[int, int], after_id: int) -> tuple[tuple[int, int, int], float]:
    """(rows, sum of ids, sum of amplitudes) of the events above *after_id*, and the seconds between the twentieth and the last but a twentieth of their stamps."""
    consumer = Consumer(servers.kafka.consumer("bench-read") | {"enable.partition.eof": True})
    decode = msgspec.json.Decoder(_Envelope).decode
    consumer.assign([TopicPartition(topic, one, offset) for one, offset in begins.items()])
    rows = ids = amplitudes = 0
    stamps: list[int] = []
    open_partitions = len(begins)
    while open_partitions:
        for message in consumer.consume(10_000, 5.0):
            if message.error() is not None:
                open_partitions -= 1
                continue
            row = decode(message.value() or b"{}").after
            if row is not None and "event_id" in row and row["event_id"] > after_id:
                rows, ids, amplitudes = rows + 1, ids + row["event_id"], amplitudes + (row["amplitude_uv"] or 0)
                stamps.append(message.timestamp()[1])
    consumer.close()
    stamps.sort()
    cut = len(stamps) // 20
    return (rows, ids, amplitudes), max(0.001, (stamps[-cut - 1] - stamps[cut]) / 1000) if stamps else 0.001


def _login(servers: Servers) -> tuple[str, str]:
    return "operator", servers.instance.secrets["connect_operator"]


def _url(servers: Servers) -> str:
    return f"http://{LOOPBACK}:{servers.instance.ports['connect']}"


def _one(row: Any) -> int:
    return int(row[0]) if row else 0

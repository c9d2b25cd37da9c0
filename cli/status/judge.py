"""Pure: what was seen → what is wrong, each with what to do about it. An empty list means that all is well."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from cli.broker import TopicPositions
from cli.status.readings import (
    ClickHouse,
    Connect,
    Database,
    DeadLetters,
    Kafka,
    NotAsked,
    Reading,
    Readings,
    Service,
    Sources,
    Unreachable,
)
from cli.status.settings import StatusSection
from connectors.apply import cause_of
from connectors.contract import SOURCES
from schemas.dead_letters import INCOMPLETE
from schemas.keys import CRM_TOPIC, LOG_TOPIC
from schemas.partition_progress import misfit
from schemas.topics import catalogue

# What a service's health names → what is wrong in words, what to do.
COMPONENTS = {
    "redis": ("it does not answer {part}: {state}", "see whether Redis runs, and its log"),
    "clickhouse": ("{part} cannot read from ClickHouse: {state}", "see whether ClickHouse runs; {part} connects again by itself"),
    "keys": (
        "{part} has no public keys of Keycloak to check tokens with: {state}",
        "see whether Keycloak runs; {part} fetches them again by itself",
    ),
    "keycloak": ("{part} gets no answer from Keycloak: {state}", "see whether Keycloak runs, and its log"),
    "reports_api": ("{part} gets no answer from the reports service: {state}", "see whether the reports service runs, and its log"),
}
READ_TOPICS = (LOG_TOPIC, CRM_TOPIC)
TRACE_END = 120


@dataclass(frozen=True)
class Problem:
    """*what* is wrong with *part*, and what to *do*: one line each. Whole sentences, without their first capital and their full stop."""

    part: str
    what: str
    do: str

    def __str__(self) -> str:
        return f"{self.part}: {self.what} → {self.do}"


def lags(kafka: Kafka) -> dict[str, dict[int, int]]:
    """Records that wait for the processor, by topic and partition. One is none: it is the marker of a finished transaction."""
    return {
        topic: {
            partition: waiting if (waiting := end - kafka.committed[topic].get(partition, at.starts[partition])) > 1 else 0
            for partition, end in at.ends.items()
        }
        for topic, at in kafka.topics.items()
        if topic in kafka.committed
    }


def ages(clickhouse: ClickHouse, now: datetime) -> dict[str, dict[int, float]]:
    """Seconds between *now* and what each partition is known up to, by topic and partition."""
    result: dict[str, dict[int, float]] = {}
    for row in clickhouse.progress:
        result.setdefault(row.topic, {})[row.partition] = round((now - row.as_of).total_seconds(), 3)
    return result


def problems(readings: Readings, limits: StatusSection, now: datetime) -> list[Problem]:
    """Everything that is wrong, part by part in the order of *readings*; then what shows only where two parts are compared."""
    found = [problem for part, reading in readings.items() for problem in _of_part(part, reading, limits, now)]
    kafka, clickhouse = readings.get("kafka"), readings.get("clickhouse")
    if isinstance(kafka, Kafka) and isinstance(clickhouse, ClickHouse):
        found += _identity(kafka, clickhouse)
        found += _older_tables(kafka, clickhouse)
        found += _before_the_tables(kafka, clickhouse)
    return found


def _of_part(part: str, reading: Reading, limits: StatusSection, now: datetime) -> Iterator[Problem]:
    match reading:
        case Unreachable():
            yield Problem(part, f"it does not answer at {reading.where}: {reading.reason}", "see whether it runs, and its log")
        case NotAsked():
            yield Problem(
                part, "it was not asked, because its address is not known", f"set {reading.variable}, or leave it out: --without {part}"
            )
        case Database():
            yield from _slot(part, reading, limits)
            yield from _zones(part, reading)
        case Kafka():
            yield from _kafka(part, reading, limits)
            yield from _hanging(part, reading, limits, now)
        case Connect():
            yield from _connect(part, reading)
        case ClickHouse():
            yield from _clickhouse(part, reading, limits, now)
        case Sources():
            yield from _sources(part, reading, limits, now)
        case DeadLetters():
            yield from _dead_letters(part, reading, limits)
        case Service():
            yield from _service(part, reading)


def _slot(part: str, database: Database, limits: StatusSection) -> Iterator[Problem]:
    slot, name = database.slot, database.slot_name
    heal = f"run `bionicpro connectors resnapshot {name.removeprefix('bionicpro_')}`, then `bionicpro repair`"
    if slot is None:
        yield Problem(part, f"the slot {name} was dropped, or never made: changes are not kept for the connector", heal)
    elif slot.wal_status == "lost":
        yield Problem(part, f"the slot {name} is lost: PostgreSQL removed WAL that it needed", heal)
    else:
        if not slot.active:
            yield Problem(
                part, f"nobody reads slot {name}, and WAL piles up", "see which connector stands still: `bionicpro connectors status`"
            )
        if slot.wal_status == "unreserved":
            yield Problem(
                part, f"the slot {name} is about to be lost", "get the connector to read at once, or raise max_slot_wal_keep_size"
            )
        if (slot.retained_bytes or 0) > limits.max_slot_bytes:
            what = f"the slot {name} retains {slot.retained_bytes} bytes of WAL, and {limits.max_slot_bytes} are allowed"
            yield Problem(part, what, "see why the connector is slow, with `bionicpro connectors status` and in Connect's log")


def _zones(part: str, database: Database) -> Iterator[Problem]:
    unknown = database.unknown_zones
    if unknown:
        shown = ", ".join(repr(name[:TRACE_END]) for name in list(unknown)[:5]) + (
            f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
        )
        what = f"{sum(unknown.values())} customers have a time zone that nobody knows ({shown}): their days are cut in UTC"
        yield Problem(part, what, "correct it in the CRM to an IANA name, letter by letter; their reports are then computed anew")


def _kafka(part: str, kafka: Kafka, limits: StatusSection) -> Iterator[Problem]:
    for name, partitions in kafka.wanted.items():
        topic = kafka.topics.get(name)
        if topic is None:
            yield Problem(part, f"the topic {name} does not exist", "run `bionicpro topics apply`")
        elif len(topic.ends) != partitions:
            what = f"the topic {name} has {len(topic.ends)} partitions, and the catalogue says {partitions}"
            yield Problem(part, what, "delete the topic, run `bionicpro topics apply`, then `bionicpro rebuild`")
    if not kafka.group.members:
        yield Problem(
            "processor", f"nobody is in the consumer group {kafka.group.name}", "start a worker with `python -m stream_processor`"
        )
    for name, by_partition in lags(kafka).items():
        if (lag := sum(by_partition.values())) > limits.max_lag:
            yield Problem(
                "processor",
                f"{lag} records of {name} wait, and {limits.max_lag} are allowed",
                "add a worker, or see the log of the one that runs",
            )
        yield from _expired(kafka.topics[name], kafka.committed[name])


def _hanging(part: str, kafka: Kafka, limits: StatusSection, now: datetime) -> Iterator[Problem]:
    """Transactions that nobody will end: Kafka ends those of a producer that has gone, after its time-out (docs/adr/0047-kafka-4-2.md)."""
    for name, by_partition in kafka.open_since.items():
        old = {partition: since for partition, since in by_partition.items() if (now - since).total_seconds() > limits.max_transaction_s}
        if old:
            since = f"{min(old.values()):%Y-%m-%dT%H:%M:%SZ}"
            what = f"the topic {name} has a transaction open since {since}, in partitions {_numbers(sorted(old))}: all behind it waits"
            yield Problem(
                part, what, "run kafka-transactions.sh to end it, then restart both connectors: docs/operations.md, Hanging transactions"
            )


def _expired(topic: TopicPositions, committed: Mapping[int, int]) -> Iterator[Problem]:
    committed = {**dict.fromkeys(topic.starts, 0), **committed}  # where nothing was committed nothing was read
    lost = sorted(partition for partition, offset in committed.items() if offset < topic.starts.get(partition, 0))
    if lost:
        what = f"{topic.topic} expired before it was read, in partitions {_numbers(lost)}"
        yield Problem("processor", what, "run `bionicpro rebuild`")


def _connect(part: str, connect: Connect) -> Iterator[Problem]:
    for name in connect.wanted:
        status = connect.connectors.get(name)
        if status is None:
            yield Problem(part, f"the connector {name} does not exist", "run `bionicpro connectors apply`")
        elif not status.running:
            trace = next((_shortened(cause_of(trace)) for trace in status.traces if trace.strip()), "no trace")
            tasks = f"its tasks are {', '.join(status.tasks)}" if status.tasks else "it has no tasks"
            yield Problem(part, f"the connector {name} is {status.connector}, and {tasks} ({trace})", f"run {status.way_out}")


def _clickhouse(part: str, clickhouse: ClickHouse, limits: StatusSection, now: datetime) -> Iterator[Problem]:
    if clickhouse.pending:
        yield Problem(part, f"the schema lacks {', '.join(clickhouse.pending)}", "run `bionicpro schema migrate`")
    if clickhouse.generation is None:
        yield Problem(part, "no generation is served", "run `bionicpro schema migrate`")
        return
    yield from _erasures(part, clickhouse, limits, now)
    by_topic = ages(clickhouse, now)
    for topic in READ_TOPICS:
        known = by_topic.get(topic, {})
        never = sorted(set(range(catalogue()[topic].partitions)) - known.keys())
        stale = {partition: age for partition, age in known.items() if age > limits.max_age_s}
        if never:
            yield Problem(
                "freshness", f"of {topic}, partitions {_numbers(never)} were never handled", "see the logs of the processor and of Connect"
            )
        if stale:
            what = f"of {topic}, partitions {_numbers(sorted(stale))} are stale, the oldest by {max(stale.values()):.0f} s"
            yield Problem(
                "freshness",
                what,
                "see the processor's log; where a connector runs and sends nothing, run `bionicpro connectors restart NAME`",
            )


def _erasures(part: str, clickhouse: ClickHouse, limits: StatusSection, now: datetime) -> Iterator[Problem]:
    late = {identity: age for identity, at in clickhouse.erasures.items() if (age := (now - at).total_seconds()) > limits.max_erasure_s}
    if late:
        what = f"{len(late)} erasures have no receipt after {limits.max_erasure_s:.0f} s, the oldest, {max(late, key=late.__getitem__)}, after {max(late.values()):.0f} s"
        yield Problem(part, what, "see the eraser's log; a generation that is built must reach the erasure, or be retired: docs/erasure.md")


def _sources(part: str, sources: Sources, limits: StatusSection, now: datetime) -> Iterator[Problem]:
    for source in SOURCES:
        check = sources.checks.get(source)
        age = None if check is None else (now - check.checked_at).total_seconds()
        if check is None or age is None or age > limits.max_check_age_s:
            when = "yet" if age is None else f"for {age:.0f} s"
            yield Problem(part, f"{source} was not looked at {when}", "start the watch (`bionicpro connectors watch`), or see its log")
            continue
        for finding in check.findings:
            yield Problem(part, f"{source}: {finding.what}; {finding.means}", finding.do)


def _dead_letters(part: str, letters: DeadLetters, limits: StatusSection) -> Iterator[Problem]:
    if letters.count > limits.max_dead_letters:
        reasons = ", ".join(f"{reason} {count}" for reason, count in letters.reasons.items())
        what = f"{letters.count} records were refused ({reasons})"
        yield Problem(part, what, "see them with `bionicpro dlq list`, then run `bionicpro dlq replay` or `bionicpro dlq purge`")
    if incomplete := sum(letters.reasons.get(reason, 0) for reason in INCOMPLETE):
        what = f"{incomplete} changes did not say all that they are about, and reports may lack them"
        yield Problem(part, what, "mend what `sources` names, then run `bionicpro repair`, then `bionicpro dlq purge`")


def _service(part: str, service: Service) -> Iterator[Problem]:
    wrong = {name: state for name, state in service.components.items() if state.lower() not in {"ok", "up"}}
    for name, state in wrong.items():
        what, do = COMPONENTS.get(name, (f"its check of {name!r} says: {state}", "see its log"))
        yield Problem(name if name == "redis" else part, what.format(part=part, state=state), do.format(part=part))
    if service.code != 200 and not wrong:
        yield Problem(part, f"it answers {service.code} at {service.where}", "see its log")


def contradicts(readings: Readings) -> bool:
    """Whether Kafka and ClickHouse, as they answered, do not tell of one and the same log."""
    kafka, clickhouse = readings.get("kafka"), readings.get("clickhouse")
    return isinstance(kafka, Kafka) and isinstance(clickhouse, ClickHouse) and any(_identity(kafka, clickhouse))


def _identity(kafka: Kafka, clickhouse: ClickHouse) -> Iterator[Problem]:
    """The stored positions are of this very topic, and within it: the same rule that stops the processor."""
    for name, topic in kafka.topics.items():
        rows = [row for row in clickhouse.progress if row.topic == name]
        if problem := misfit(rows, topic.topic_id, topic.ends):
            yield Problem("processor", f"the topic {problem}", "run `bionicpro rebuild`")


def _older_tables(kafka: Kafka, clickhouse: ClickHouse) -> Iterator[Problem]:
    """Tables that hold less of the log than is committed: a backup was put back, and the processor stays down.

    Asked only where nobody is in the group: while somebody is, both go on between the two answers.
    """
    log = kafka.topics.get(LOG_TOPIC)
    if log is None or kafka.group.members:
        return
    handled = {row.partition: row.handled_offset for row in clickhouse.progress if row.topic == LOG_TOPIC}
    committed = kafka.committed.get(LOG_TOPIC, {})
    ahead = sorted(p for p, offset in committed.items() if offset > max(handled.get(p, -1) + 1, log.starts.get(p, 0)))
    if ahead:
        what = f"the tables are older than what was committed of {LOG_TOPIC} (a restored backup), in partitions {_numbers(ahead)}"
        yield Problem("processor", what, "run `bionicpro rebuild`")


def _before_the_tables(kafka: Kafka, clickhouse: ClickHouse) -> Iterator[Problem]:
    """A group that was set back to before its tables begin, so that the processor stays down."""
    log, committed = kafka.topics.get(LOG_TOPIC), kafka.committed.get(LOG_TOPIC, {})
    starts = {} if log is None else log.starts
    early = sorted(p for p, begin in clickhouse.begins.items() if max(committed.get(p, 0), starts.get(p, 0)) < begin)
    if early:
        what = f"the group {kafka.group.name} was set back to before its tables begin, in partitions {_numbers(early)}"
        yield Problem("processor", what, "run `bionicpro replay --from TIME`, which goes back as far as they do, and start the processor")


def _shortened(line: str) -> str:
    """Debezium puts whole offset contexts between the kind of an error and what it says."""
    return line if len(line) <= 2 * TRACE_END else f"{line[:TRACE_END]} … {line[-TRACE_END:]}"


def _numbers(numbers: list[int]) -> str:
    shown = ", ".join(str(number) for number in numbers[:5])
    return shown if len(numbers) <= 5 else f"{shown} and {len(numbers) - 5} more"

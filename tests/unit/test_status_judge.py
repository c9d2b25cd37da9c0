"""What is well and what is not, and that each problem says what to do."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cli.broker import Group, TopicPositions
from cli.status.judge import ages, contradicts, lags, problems
from cli.status.readings import (
    ClickHouse,
    Connect,
    Database,
    DeadLetters,
    Kafka,
    NotAsked,
    Reading,
    Service,
    Slot,
    Sources,
    Unreachable,
)
from cli.status.report import document, lines
from cli.status.settings import StatusSection
from connectors.apply import ConnectorStatus
from connectors.checks import Check
from connectors.contract import Finding
from schemas.keys import CRM_TOPIC, LOG_TOPIC
from schemas.partition_progress import PartitionProgress
from schemas.topics import catalogue

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
LIMITS = StatusSection(max_lag=100, max_slot_bytes=1000)
WANTED = {topic.name: topic.partitions for topic in catalogue().values()}


def database(slot: Slot | None) -> Database:
    return Database("16.14", "bionicpro_crm", slot)


def kafka(**changes: object) -> Kafka:
    topics = {
        name: TopicPositions(name, f"id-{name}", dict.fromkeys(range(n), 0), dict.fromkeys(range(n), 10)) for name, n in WANTED.items()
    }
    committed = {name: dict.fromkeys(topics[name].ends, 9) for name in (LOG_TOPIC, CRM_TOPIC)}
    well = Kafka("cluster", 1, WANTED, topics, Group("processor", "STABLE", ("worker@host (25 partitions)",)), committed)
    return replace(well, **changes)


def clickhouse(age_s: float = 1.0, **changes: object) -> ClickHouse:
    rows = tuple(
        PartitionProgress(name, partition, f"id-{name}", WANTED[name], 8, int((NOW - timedelta(seconds=age_s)).timestamp() * 1000))
        for name in (LOG_TOPIC, CRM_TOPIC)
        for partition in range(WANTED[name])
    )
    return replace(ClickHouse("26.9", (), 1, rows), **changes)


def connect(**statuses: ConnectorStatus) -> Connect:
    running = {name: ConnectorStatus(name, "RUNNING", ("RUNNING",)) for name in ("crm", "telemetry")}
    return Connect("4.3.1", "3.7.0", ("crm", "telemetry"), running | statuses)


def sources(age_s: float = 1.0, *found: Finding) -> Sources:
    at = NOW - timedelta(seconds=age_s)
    return Sources({name: Check(name, 1, at, at, found if name == "crm" else (), None) for name in ("crm", "telemetry")})


WELL: dict[str, Reading] = {
    "postgres-crm": database(Slot("bionicpro_crm", True, "reserved", 10)),
    "kafka": kafka(),
    "connect": connect(),
    "clickhouse": clickhouse(),
    "sources": sources(),
    "dead-letters": DeadLetters(0, 0, {}),
    "bff": Service("http://bff/health/ready", 200, {"redis": "ok", "keycloak": "ok"}),
    "keycloak": Service("http://keycloak/health/ready", 200, {"Keycloak database": "UP"}),
}


SENTENCE = (
    r"^[a-z-]+: .*\b(is|are|was|were|has|have|did|does|do|lacks?|retains?|reads|wait|expired|answers?|ends)\b.* → "
    r"(see|run|set|start|add|delete|mend|get|correct|bring)\b"
)


def only(part: str, reading: Reading) -> list[str]:
    """The problems of a world in which all else is well."""
    return [str(problem) for problem in problems(WELL | {part: reading}, LIMITS, NOW)]


def test_a_world_in_which_all_is_well_has_no_problem() -> None:
    assert problems(WELL, LIMITS, NOW) == []
    assert lines(WELL, [], NOW)[-1] == "all is well"


def test_a_transaction_that_is_as_old_as_one_may_be_is_no_problem() -> None:
    assert only("kafka", kafka(open_since={CRM_TOPIC: {0: NOW - timedelta(seconds=180)}})) == []


def test_customers_of_unknown_time_zones_are_counted_and_their_zones_named() -> None:
    unknown = {f"europe/{n}": 2 for n in range(7)}
    told = only("postgres-crm", replace(database(Slot("bionicpro_crm", True, "reserved", 10)), unknown_zones=unknown))
    assert "14 customers have a time zone that nobody knows ('europe/0', " in told[0]
    assert "and 2 more" in told[0]
    assert "IANA name" in told[0]


@pytest.mark.parametrize(
    ("part", "reading", "said"),
    [
        ("connect", Unreachable("http://x", "refused"), "does not answer at http://x: refused"),
        ("bff", NotAsked("BIONICPRO_STATUS__BFF_URL"), "set BIONICPRO_STATUS__BFF_URL"),
        ("postgres-crm", database(None), "the slot bionicpro_crm was dropped"),
        ("postgres-crm", database(Slot("bionicpro_crm", False, "lost", None)), "the slot bionicpro_crm is lost"),
        ("postgres-crm", database(Slot("bionicpro_crm", False, "reserved", 10)), "nobody reads slot"),
        ("postgres-crm", database(Slot("bionicpro_crm", True, "unreserved", 10)), "about to be lost"),
        ("postgres-crm", database(Slot("bionicpro_crm", True, "extended", 1001)), "retains 1001 bytes"),
        ("kafka", kafka(topics={k: v for k, v in kafka().topics.items() if k != CRM_TOPIC}), "topic crm.changes does not exist"),
        ("kafka", kafka(wanted=WANTED | {CRM_TOPIC: 2}), "has 1 partitions, and the catalogue says 2"),
        ("kafka", kafka(group=Group("processor", "EMPTY", ())), "nobody is in the consumer group processor"),
        (
            "kafka",
            kafka(open_since={CRM_TOPIC: {0: NOW - timedelta(seconds=181)}}),
            "the topic crm.changes has a transaction open since 2026-11-23T11:56:59Z, in partitions 0",
        ),
        ("connect", connect(crm=ConnectorStatus("crm", "RUNNING", ("FAILED",), ("Boom: why\n at line",))), "(Boom: why)"),
        (
            "connect",
            connect(crm=ConnectorStatus("crm", "RUNNING", ("FAILED",), ("Boom: why\n at line",))),
            "run `bionicpro connectors apply`",
        ),
        (
            "connect",
            connect(
                crm=ConnectorStatus("crm", "RUNNING", ("FAILED",), ("Boom\nCaused by: Error while processing event at offset {lsn=1}",))
            ),
            "run `bionicpro connectors resnapshot crm`",
        ),
        ("connect", connect(crm=ConnectorStatus("crm", "RUNNING", ())), "it has no tasks"),
        ("connect", Connect("4.3.1", "3.7.0", ("crm",), {}), "connector crm does not exist"),
        ("clickhouse", clickhouse(pending=("0002_more",)), "the schema lacks 0002_more"),
        ("clickhouse", clickhouse(generation=None, progress=()), "no generation is served"),
        ("clickhouse", clickhouse(progress=clickhouse().progress[1:]), "partitions 0 were never handled"),
        ("clickhouse", clickhouse(age_s=10.5), "are stale, the oldest by 10 s"),
        (
            "dead-letters",
            DeadLetters(3, 3, {"invalid-row": 2, "not-an-envelope": 1}),
            "3 records were refused (invalid-row 2, not-an-envelope 1)",
        ),
        ("bff", Service("http://bff", 503, {"redis": "down"}), "redis: it does not answer bff: down"),
        ("dead-letters", DeadLetters(1, 1, {"without-identity": 1}), "1 changes did not say all that they are about"),
        ("sources", sources(61), "telemetry was not looked at for 61 s"),
        ("sources", Sources({}), "crm was not looked at yet"),
        (
            "sources",
            sources(1, Finding("a table is gone", "nothing arrives", "bring it back")),
            "crm: a table is gone; nothing arrives → bring",
        ),
        ("bff", Service("http://bff", 500, {}), "answers 500"),
    ],
)
def test_each_fault_is_named_with_what_to_do(part: str, reading: Reading, said: str) -> None:
    found = only(part, reading)
    assert any(said in line for line in found), found
    assert all(" → " in line and "\n" not in line for line in found)
    # A sentence has a verb where it begins, and what is to be done is told to somebody.
    assert all(re.search(SENTENCE, line) for line in found), found


def test_a_part_that_is_down_hides_no_other() -> None:
    readings = WELL | {
        "kafka": Unreachable("k", "refused"),
        "clickhouse": clickhouse(age_s=99),
        "connect": connect(crm=ConnectorStatus("crm", "FAILED", ())),
    }
    assert {problem.part for problem in problems(readings, LIMITS, NOW)} == {"kafka", "connect", "freshness"}


def test_the_marker_of_a_transaction_is_no_lag_but_two_records_are() -> None:
    seen = kafka(committed={CRM_TOPIC: {0: 9}, LOG_TOPIC: dict.fromkeys(range(WANTED[LOG_TOPIC]), 8)})
    assert lags(seen)[CRM_TOPIC] == {0: 0}
    assert lags(seen)[LOG_TOPIC][0] == 2


def test_a_partition_that_was_never_committed_lags_by_all_that_is_kept() -> None:
    assert lags(kafka(committed={CRM_TOPIC: {}, LOG_TOPIC: {}}))[CRM_TOPIC] == {0: 10}


def test_too_much_lag_is_the_processors_problem() -> None:
    assert any("240 records of prosthesis.log wait" in line for line in only("kafka", kafka(committed={CRM_TOPIC: {0: 10}, LOG_TOPIC: {}})))


def test_records_that_expired_before_they_were_read_are_named() -> None:
    topics = dict(kafka().topics)
    topics[CRM_TOPIC] = replace(topics[CRM_TOPIC], starts={0: 10})
    assert any("crm.changes expired before it was read, in partitions 0" in line for line in only("kafka", kafka(topics=topics)))


def test_records_that_expired_before_anybody_ever_read_are_named_too() -> None:
    topics = dict(kafka().topics)
    topics[LOG_TOPIC] = replace(topics[LOG_TOPIC], starts={**topics[LOG_TOPIC].starts, 3: 1})
    committed = {topic: {p: offset for p, offset in of.items() if (topic, p) != (LOG_TOPIC, 3)} for topic, of in kafka().committed.items()}
    told = only("kafka", kafka(topics=topics, committed=committed))
    assert any("prosthesis.log expired before it was read, in partitions 3" in line for line in told)


def test_tables_from_a_backup_are_named_once_the_processor_is_down() -> None:
    behind = tuple(replace(row, handled_offset=5) if (row.topic, row.partition) == (LOG_TOPIC, 3) else row for row in clickhouse().progress)
    down = WELL | {"clickhouse": clickhouse(progress=behind), "kafka": kafka(group=Group("processor", "EMPTY", ()))}
    told = [str(problem) for problem in problems(down, LIMITS, NOW)]
    assert any("(a restored backup), in partitions 3 → run `bionicpro rebuild`" in line for line in told)
    assert all(re.search(SENTENCE, line) for line in told), told
    # While somebody reads, what is committed is asked for after what is handled has moved on.
    assert only("clickhouse", clickhouse(progress=behind)) == []


def test_a_log_that_is_cut_before_the_first_position_is_no_older_backup() -> None:
    topics = dict(kafka().topics)
    topics[LOG_TOPIC] = replace(topics[LOG_TOPIC], starts=dict.fromkeys(range(WANTED[LOG_TOPIC]), 9))
    fresh = tuple(row for row in clickhouse().progress if row.topic != LOG_TOPIC)
    down = WELL | {"clickhouse": clickhouse(progress=fresh), "kafka": kafka(topics=topics, group=Group("processor", "EMPTY", ()))}
    assert not any("restored backup" in str(problem) for problem in problems(down, LIMITS, NOW))


def test_a_group_that_was_set_back_to_before_its_tables_is_named() -> None:
    committed = kafka().committed[LOG_TOPIC]
    assert only("clickhouse", clickhouse(begins=dict(committed))) == []
    begins = {partition: offset + (partition == 3) for partition, offset in committed.items()}
    told = [str(problem) for problem in only("clickhouse", clickhouse(begins=begins))]
    assert any("set back to before its tables begin, in partitions 3 → run `bionicpro replay --from TIME`" in line for line in told)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"topic_id": "another"}, "was made anew"),
        ({"partition_count": 12}, "positions are of 12"),
        ({"handled_offset": 10}, "before what was handled"),
    ],
)
def test_positions_of_another_log_are_named(change: dict[str, object], said: str) -> None:
    first, *rest = clickhouse().progress
    readings = WELL | {"clickhouse": clickhouse(progress=(replace(first, **change), *rest))}
    assert contradicts(readings)
    assert any(said in str(problem) for problem in problems(readings, LIMITS, NOW))


def test_the_document_tells_lag_age_slots_dead_letters_and_versions() -> None:
    told = document(WELL, [], NOW, "0.1.0")
    assert told["ok"] is True
    assert told["age_s"][CRM_TOPIC] == {0: 1.0} == ages(clickhouse(), NOW)[CRM_TOPIC]
    assert told["lag"][CRM_TOPIC] == {0: 0}
    assert told["slots"]["bionicpro_crm"]["retained_bytes"] == 10
    assert told["dead_letters"]["count"] == 0
    assert told["versions"] == {
        "bionicpro": "0.1.0",
        "postgres-crm": "16.14",
        "connect": "4.3.1",
        "clickhouse": "26.9",
        "debezium": "3.7.0",
    }
    assert {part["state"] for part in told["parts"].values()} == {"ok"}


def test_an_erasure_without_a_receipt_is_named_once_it_is_late() -> None:
    asked = {"slow": NOW - timedelta(seconds=LIMITS.max_erasure_s + 61), "fresh": NOW - timedelta(seconds=5)}
    (problem,) = only("clickhouse", clickhouse(erasures=asked))
    assert "1 erasures have no receipt after 900 s, the oldest, slow, after 961 s" in problem

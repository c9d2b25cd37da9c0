"""Offsets set back against a real broker, with a group of the test's own."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from confluent_kafka import Consumer, TopicPartition

from cli.broker import Broker
from schemas.commands import Recompute, decode_command
from schemas.keys import LOG_TOPIC, partition_of, prosthesis_key
from schemas.topics import log_partitions
from service_kit.settings import KafkaSettings
from tests.support.operator import Operator
from tests.support.system import System
from tests.support.waiting import PATIENCE_S

PARTITIONS = range(log_partitions())
LONG_AGO = "2020-01-01T00:00:00Z"


@pytest.fixture
def group() -> str:
    return f"bionicpro-test-{secrets.token_hex(4)}"  # which the operator may set, as those of the processors


@pytest.fixture
def kafka_settings(pipe: System) -> KafkaSettings:
    return pipe.kafka.settings()


@pytest.fixture
def broker(kafka_settings: KafkaSettings) -> Broker:
    return Broker(kafka_settings)


@pytest.fixture
def operator(pipe: System, group: str) -> Operator:
    return Operator(pipe.variables("operator") | {"BIONICPRO_PROCESSOR__GROUP": group})


@pytest.fixture
def ends(broker: Broker) -> dict[int, int]:
    """The log's ends, once the heartbeats have put something into every partition."""
    until = time.monotonic() + PATIENCE_S
    while True:
        topic = broker.topics([LOG_TOPIC])[LOG_TOPIC]
        if all(topic.ends[partition] > topic.starts[partition] for partition in PARTITIONS):
            return dict(topic.ends)
        assert time.monotonic() < until, "the heartbeats did not reach every partition"
        time.sleep(0.1)


@pytest.fixture
def member(kafka_settings: KafkaSettings, group: str) -> Iterator[Consumer]:
    consumer = Consumer(kafka_settings.consumer(group) | {"client.id": "a-test-worker", "enable.auto.commit": False})
    assigned: list[object] = []
    consumer.subscribe([LOG_TOPIC], on_assign=lambda _, partitions: assigned.append(partitions))
    until = time.monotonic() + PATIENCE_S
    while not assigned and time.monotonic() < until:
        consumer.poll(0.1)
    yield consumer
    consumer.close()


def test_offsets_go_back_to_the_time_and_a_second_run_changes_nothing(
    operator: Operator, broker: Broker, group: str, ends: dict[int, int]
) -> None:
    broker.commit(group, LOG_TOPIC, ends)
    starts = dict(broker.topics([LOG_TOPIC])[LOG_TOPIC].starts)
    done = operator.json("replay", "--from", LONG_AGO, "--yes")
    assert broker.committed(group, LOG_TOPIC, PARTITIONS) == starts
    assert done["records"] == sum(ends.values()) - sum(starts.values())
    assert operator.json("replay", "--from", LONG_AGO, "--yes")["offsets"] == {}


def test_a_time_after_what_was_read_passes_nothing_over(operator: Operator, broker: Broker, group: str, ends: dict[int, int]) -> None:
    starts = dict(broker.topics([LOG_TOPIC])[LOG_TOPIC].starts)
    broker.commit(group, LOG_TOPIC, starts)
    operator.json("replay", "--from", datetime.now(UTC).isoformat(), "--yes")
    assert broker.committed(group, LOG_TOPIC, PARTITIONS) == starts


def test_no_answer_changes_nothing(operator: Operator, broker: Broker, group: str, ends: dict[int, int]) -> None:
    broker.commit(group, LOG_TOPIC, ends)
    assert operator("replay", "--from", LONG_AGO, answer="n\n").exit_code == 1
    assert broker.committed(group, LOG_TOPIC, PARTITIONS) == ends


def test_a_group_with_a_live_member_is_refused_by_name(operator: Operator, broker: Broker, group: str, member: Consumer) -> None:
    result = operator("replay", "--from", LONG_AGO, "--yes")
    assert result.exit_code == 1
    assert "a-test-worker@" in result.stderr
    assert broker.committed(group, LOG_TOPIC, PARTITIONS) == {}


def test_a_prosthesis_is_recomputed_by_a_command_in_its_own_partition(operator: Operator, kafka_settings: KafkaSettings) -> None:
    key = prosthesis_key(123456789)
    at = TopicPartition(LOG_TOPIC, partition_of(key, len(PARTITIONS)))
    consumer = Consumer(kafka_settings.consumer("test-replay") | {"enable.auto.commit": False})
    consumer.assign([TopicPartition(at.topic, at.partition, consumer.get_watermark_offsets(at, timeout=PATIENCE_S)[1])])
    sent = operator.json("replay", "--prosthesis", "123456789", "--from", "2026-11-20")
    found: list[Recompute] = []
    until = time.monotonic() + PATIENCE_S
    while not found and time.monotonic() < until:
        values = [message.value() for message in consumer.consume(100, timeout=0.1) if message.error() is None and message.key() == key]
        found += [command for command in map(decode_command, values) if isinstance(command, Recompute)]
    consumer.close()
    assert [(command.command_id, command.prosthesis_id, str(command.from_date)) for command in found] == [
        (sent["command_id"], "123456789", "2026-11-19")
    ]

"""`schemas.keys` places keys where Kafka's and Debezium's own producers place them."""

from __future__ import annotations

import random
import secrets
from typing import Any

import psycopg
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from schemas.keys import LOG_TOPIC, murmur2, partition_of
from schemas.topics import log_partitions
from tests.support.captured import Captured, Tail
from tests.support.system import System
from tests.support.waiting import PATIENCE_S

KEYS = 300


# From Kafka's own UtilsTest.testMurmur2 (signed there).
@pytest.mark.parametrize(
    ("data", "signed"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_murmur2_is_kafkas(data: bytes, signed: int) -> None:
    assert murmur2(data) == signed % 2**32


def test_debezium_places_prostheses_where_the_key_module_says(pipe: System) -> None:
    # Ids of every length, 1 to 19 digits.
    prostheses = sorted(
        {random.Random(digits * 1000 + n).randrange(10 ** (digits - 1), 10**digits) for digits in range(1, 19) for n in range(20)}
    )[:KEYS]
    mark = f"placement-{secrets.token_hex(4)}"
    with Tail(pipe.kafka.client(), LOG_TOPIC) as tail:
        with psycopg.connect(**pipe.postgres.conninfo("telemetry", "telemetry_ingest")) as connection, connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO telemetry.telemetry_events (prosthesis_id, kind) VALUES (%s, %s)", [(p, mark) for p in prostheses]
            )
        records = tail.until(lambda found: len(found) == len(prostheses), lambda record: marked(record, mark))
    forget(pipe, mark)
    for record in records:
        assert record.key == str(record.value["after"]["prosthesis_id"]).encode()
        assert record.partition == partition_of(record.key, log_partitions())
    assert {record.partition for record in records} == set(range(log_partitions()))


def test_our_own_producers_place_keys_where_debezium_does(pipe: System) -> None:
    settings = pipe.kafka.settings()
    placed: dict[bytes, int] = {}

    def delivered(error: Any, message: Any) -> None:
        assert error is None, error
        placed[message.key()] = message.partition()

    # No record of the pipeline: the dead-letter topic has one partition, so a topic of the test's own is made.
    topic = f"placement-{secrets.token_hex(4)}"
    admin = AdminClient({**pipe.kafka.client(), "log_level": 0})
    admin.create_topics([NewTopic(topic, log_partitions(), 1)])[topic].result(timeout=PATIENCE_S)
    try:
        producer = Producer(settings.producer())
        for number in range(KEYS):
            producer.produce(topic, key=str(number * 7919).encode(), value=b"x", on_delivery=delivered)
        assert producer.flush(30) == 0
    finally:
        admin.delete_topics([topic])[topic].result(timeout=PATIENCE_S)
    assert len(placed) == KEYS
    assert {key: partition_of(key, log_partitions()) for key in placed} == placed


def marked(record: Captured, mark: str) -> bool:
    return record.value.get("op") == "c" and record.value["after"].get("kind") == mark


def forget(pipe: System, mark: str) -> None:
    with psycopg.connect(**pipe.postgres.conninfo("telemetry", "telemetry_ingest")) as connection:
        connection.execute("DELETE FROM telemetry.telemetry_events WHERE kind = %s", (mark,))

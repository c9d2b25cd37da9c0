"""Transactions of Kafka that are still open: readers of committed records wait at the first record of each, whatever comes behind it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime

from confluent_kafka import Consumer, KafkaException, TopicPartition

from cli.broker import Broker, TopicPositions
from service_kit.settings import KafkaSettings

POLL_S = 0.2


def open_since(kafka: KafkaSettings, topics: Mapping[str, TopicPositions], timeout_s: float) -> dict[str, dict[int, datetime]]:
    """By topic and partition, the time of the first record of a transaction that nobody has ended; partitions without one are left out.

    *topics* has the ends for readers of committed records. Raises KafkaException where the broker does not answer within *timeout_s*.
    """
    broker = Broker(kafka, timeout_s)
    behind = [
        TopicPartition(name, partition, at.ends[partition])
        for name, at in topics.items()
        for partition, end in broker.written(name, at.ends).items()
        if end > at.ends[partition]
    ]
    found: dict[str, dict[int, datetime]] = {}
    if behind:
        for at, since in _times(kafka, behind, timeout_s):
            found.setdefault(at.topic, {})[at.partition] = since
    return found


def _times(kafka: KafkaSettings, places: list[TopicPartition], timeout_s: float) -> list[tuple[TopicPartition, datetime]]:
    """The time of the record at each of *places*, committed or not; a place where none comes is left out: its transaction was ended meanwhile."""
    config = kafka.consumer("bionicpro-status") | {
        "isolation.level": "read_uncommitted",
        "enable.auto.commit": False,
        "auto.offset.reset": "error",
        "log_level": 0,
    }
    waiting = {(at.topic, at.partition): at for at in places}
    found: list[tuple[TopicPartition, datetime]] = []
    consumer, until = Consumer(config), time.monotonic() + timeout_s
    try:
        consumer.assign(places)
        while waiting and time.monotonic() < until:
            message = consumer.poll(POLL_S)
            if message is None:
                continue
            if error := message.error():
                raise KafkaException(error)
            place = waiting.pop((str(message.topic()), int(message.partition() or 0)), None)
            if place is not None:
                found.append((place, datetime.fromtimestamp(message.timestamp()[1] / 1000, UTC)))
    finally:
        consumer.close()
    return found

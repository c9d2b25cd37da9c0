"""Records as an independent reader sees them: read_committed, whole partitions, nothing of the processor's code."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from tests.support.waiting import PATIENCE_S


@dataclass(frozen=True)
class Captured:
    """A record; ``value`` is its JSON, None for a tombstone."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: Any


class Tail:
    """Reads what is appended to *topic* after ``Tail`` was made, or all of it."""

    def __init__(self, kafka: Mapping[str, Any], topic: str, *, from_beginning: bool = False) -> None:
        self._consumer = Consumer(
            {
                **kafka,
                "group.id": "tests-tail",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "log_level": 0,
            }
        )
        count = len(self._consumer.list_topics(topic, timeout=PATIENCE_S).topics[topic].partitions)
        ends = [
            TopicPartition(topic, p, self._consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=PATIENCE_S)[1])
            for p in range(count)
        ]
        self._consumer.assign([TopicPartition(topic, end.partition, 0) for end in ends] if from_beginning else ends)

    def __enter__(self) -> Tail:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def until(
        self, enough: Callable[[list[Captured]], bool], where: Callable[[Captured], bool], limit_s: float = PATIENCE_S
    ) -> list[Captured]:
        """The records for which *where* holds, as soon as *enough* holds of them; fails after *limit_s* seconds with what was seen."""
        found: list[Captured] = []
        deadline = time.monotonic() + limit_s
        while not enough(found):
            if time.monotonic() > deadline:
                raise AssertionError(f"not enough records after {limit_s:.0f} s; seen: {found}")
            for message in self._consumer.consume(1000, 0.2):
                error = message.error()
                if error is not None:
                    if error.code() == KafkaError._PARTITION_EOF:
                        continue
                    raise KafkaException(error)
                record = _captured(message)
                if where(record):
                    found.append(record)
        return found


def _captured(message: Any) -> Captured:
    value = message.value()
    return Captured(message.topic(), message.partition(), message.offset(), message.key(), None if value is None else json.loads(value))

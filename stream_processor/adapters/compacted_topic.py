"""A compacted topic of one partition read from the beginning, past the consumer group: the CRM's changes, which the directory is a function of, and its table's changelog."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from service_kit.settings import KafkaSettings

RECORDS_PER_CALL = 10_000
WAIT_S = 0.2
SILENCE_LIMIT_S = 30.0


@dataclass(frozen=True, slots=True)
class KeptRecord:
    """What compaction has left of a key. *value* None: a tombstone. *timestamp_ms*: when it was written; 0 where nobody told."""

    key: bytes | None
    value: bytes | None
    timestamp_ms: int


def records_before(settings: KafkaSettings, topic: str, offset: int) -> Iterator[KeptRecord]:
    """Committed records of partition 0 of *topic*, in order, up to the one at *offset*, that one excluded.

    The topic is compacted: of a key that was written again since, the older record may be gone. Raises TimeoutError where the broker says nothing for
    SILENCE_LIMIT_S, KafkaException for what will not pass by itself. Nothing is committed.
    """
    consumer = Consumer(settings.consumer("bionicpro-directory") | {"enable.auto.commit": False, "auto.offset.reset": "earliest"})
    at = TopicPartition(topic, 0, 0)
    consumer.assign([at])
    heard = time.monotonic()
    try:
        while (position := consumer.position([at])[0].offset) < offset:
            for message in consumer.consume(RECORDS_PER_CALL, WAIT_S):
                heard = time.monotonic()
                error, found = message.error(), message.offset()
                if error is not None:
                    if error.fatal() or not _passing(error):
                        raise KafkaException(error)
                elif found is not None and found >= offset:
                    return
                else:
                    yield _kept(message)
            if time.monotonic() - heard > SILENCE_LIMIT_S:
                raise TimeoutError(f"{topic}: at {position} of {offset}, and nothing came for {SILENCE_LIMIT_S:.0f} s")
    finally:
        consumer.close()


def _kept(message: Message) -> KeptRecord:
    return KeptRecord(message.key(), message.value(), max(0, message.timestamp()[1]))


def _passing(error: KafkaError) -> bool:
    return error.retriable() or error.code() in {KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT}

"""The CRM's changes read from the beginning, past the consumer group: what the directory is a function of."""

from __future__ import annotations

import time
from collections.abc import Iterator

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from service_kit.settings import KafkaSettings

RECORDS_PER_CALL = 10_000
WAIT_S = 0.2
SILENCE_LIMIT_S = 30.0


def values_before(settings: KafkaSettings, topic: str, offset: int) -> Iterator[bytes]:
    """Committed values of partition 0 of *topic*, in order, up to the record at *offset*, that one excluded; tombstones are left out.

    The topic is compacted: of a row that changed again since, the older change may be gone. Raises TimeoutError where the broker says nothing for
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
                error, value, found = message.error(), message.value(), message.offset()
                if error is not None:
                    if error.fatal() or not _passing(error):
                        raise KafkaException(error)
                elif found is not None and found >= offset:
                    return
                elif value is not None:
                    yield value
            if time.monotonic() - heard > SILENCE_LIMIT_S:
                raise TimeoutError(f"{topic}: at {position} of {offset}, and nothing came for {SILENCE_LIMIT_S:.0f} s")
    finally:
        consumer.close()


def _passing(error: KafkaError) -> bool:
    return error.retriable() or error.code() in {KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT}

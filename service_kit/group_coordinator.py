"""What a consumer group's coordinator is asked.

librdkafka's AdminClient is no match for a coordinator that goes away: asked meanwhile it ends the process by an assertion (librdkafka's issue 4605), and afterwards it asks the one
that has gone for ever (5511). So what a consumer can ask a consumer asks, and for the rest there is a new client each time, once the coordinator has answered a consumer.
"""

from __future__ import annotations

from collections.abc import Iterable

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from schemas.keys import LOG_TOPIC
from service_kit.settings import KafkaSettings


def committed_offsets(kafka: KafkaSettings, group: str, topic: str, partitions: Iterable[int], timeout_s: float) -> dict[int, int]:
    """The group's committed offsets of *topic*, by partition; those never committed are left out. Raises KafkaException."""
    consumer = Consumer({**kafka.consumer(group), "enable.auto.commit": False, "log_level": 0})  # it never joins
    try:
        found = consumer.committed([TopicPartition(topic, partition) for partition in partitions], timeout=timeout_s)
    finally:
        consumer.close()
    for at in found:
        if at.error is not None:
            raise KafkaException(at.error)
    return {at.partition: at.offset for at in found if at.offset >= 0}


def admin_of_group(kafka: KafkaSettings, group: str, timeout_s: float) -> AdminClient:
    """A client for one request about *group*, whose coordinator has just answered. Raises KafkaException where it does not."""
    committed_offsets(kafka, group, LOG_TOPIC, [0], timeout_s)
    # librdkafka would remark on each client that ends.
    return AdminClient({**kafka.librdkafka(), "log_level": 0})

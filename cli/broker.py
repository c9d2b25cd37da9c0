"""What the operator's commands ask of Kafka's admin interface: positions of topics and of consumer groups, and changes to them.

Every call ends within the time-out; KafkaException tells what the broker refused or that it did not answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TypeVar

from confluent_kafka import (
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]  # its type hints do not mark re-exports

from service_kit.group_coordinator import admin_of_group, committed_offsets
from service_kit.settings import KafkaSettings

TIMEOUT_S = 10.0
T = TypeVar("T")
Offsets = dict[int, int]


@dataclass(frozen=True)
class TopicPositions:
    """A topic: its id, and by partition the first offset that is kept and the next one that a reader of committed records has to wait for."""

    topic: str
    topic_id: str
    starts: Mapping[int, int]
    ends: Mapping[int, int]


@dataclass(frozen=True)
class Group:
    """A consumer group. *members*: who lives in it, as ``client@host (n partitions)``."""

    name: str
    state: str
    members: tuple[str, ...]


class Broker:
    def __init__(self, kafka: KafkaSettings, timeout_s: float = TIMEOUT_S) -> None:
        # librdkafka would print its own connection complaints beside our one error.
        self._admin = AdminClient({**kafka.librdkafka(), "log_level": 0})
        self._kafka = kafka
        self._timeout_s = timeout_s

    def brokers(self) -> tuple[str, int]:
        """The cluster's id and how many brokers live."""
        cluster = self._result(self._admin.describe_cluster(request_timeout=self._timeout_s))
        return str(cluster.cluster_id), len(cluster.nodes)

    def topics(self, names: Iterable[str]) -> dict[str, TopicPositions]:
        """Those of *names* that exist."""
        asked = self._admin.describe_topics(TopicCollection(list(names)), request_timeout=self._timeout_s)
        found = {}
        for name, future in asked.items():
            try:
                description = self._result(future)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                    raise
            else:
                partitions = range(len(description.partitions))
                starts = self._offsets(name, partitions, OffsetSpec.earliest())  # type: ignore[no-untyped-call]
                ends = self._offsets(name, partitions, OffsetSpec.latest())  # type: ignore[no-untyped-call]
                found[name] = TopicPositions(name, str(description.topic_id), starts, ends)
        return found

    def offsets_at(self, topic: str, partitions: Iterable[int], at_ms: int) -> Offsets:
        """The first offset of each partition whose record's time is at or after *at_ms* (of the epoch); its end where there is none."""
        numbers = list(partitions)
        found = self._offsets(topic, numbers, OffsetSpec.for_timestamp(at_ms))
        ends = self._offsets(topic, numbers, OffsetSpec.latest())  # type: ignore[no-untyped-call]
        return {partition: offset if offset >= 0 else ends[partition] for partition, offset in found.items()}

    def written(self, topic: str, partitions: Iterable[int]) -> Offsets:
        """The end of each partition with what is not committed yet: beyond `TopicPositions.ends` where a transaction is open."""
        return self._offsets(topic, partitions, OffsetSpec.latest(), IsolationLevel.READ_UNCOMMITTED)  # type: ignore[no-untyped-call]

    def group(self, name: str) -> Group:
        """The group; one that never was is ``DEAD`` without members."""
        try:
            description = self._of_group(name, lambda admin: admin.describe_consumer_groups([name], request_timeout=self._timeout_s))
        except KafkaException as error:
            if error.args[0].code() != KafkaError.GROUP_ID_NOT_FOUND:
                raise
            return Group(name, "DEAD", ())
        members = tuple(
            f"{member.group_instance_id or member.client_id}@{member.host.lstrip('/')} ({len(member.assignment.topic_partitions)} partitions)"
            for member in description.members
        )
        return Group(name, description.state.name, members)

    def committed(self, group: str, topic: str, partitions: Iterable[int]) -> Offsets:
        """The group's committed offsets by partition; those never committed are left out."""
        return committed_offsets(self._kafka, group, topic, partitions, self._timeout_s)

    def commit(self, group: str, topic: str, offsets: Mapping[int, int]) -> None:
        """Set the committed offsets of a group without members. Idempotent; refused by the broker while somebody is in the group."""
        if not offsets:
            return
        partitions = [TopicPartition(topic, partition, offset) for partition, offset in offsets.items()]
        request = [ConsumerGroupTopicPartitions(group, partitions)]
        answer = self._of_group(group, lambda admin: admin.alter_consumer_group_offsets(request, request_timeout=self._timeout_s))
        for at in answer.topic_partitions:
            if at.error is not None:
                raise KafkaException(at.error)

    def delete_before(self, topic: str, partition: int, offset: int) -> None:
        """Delete the records of a partition before *offset*, for good. Idempotent."""
        at = TopicPartition(topic, partition, offset)
        for future in self._admin.delete_records([at], request_timeout=self._timeout_s).values():
            self._result(future)

    def forget_group(self, name: str) -> None:
        """Delete a group without members, with its offsets. Idempotent."""
        try:
            self._of_group(name, lambda admin: admin.delete_consumer_groups([name], request_timeout=self._timeout_s))
        except KafkaException as error:
            if error.args[0].code() != KafkaError.GROUP_ID_NOT_FOUND:
                raise

    def delete_topic(self, name: str) -> None:
        """Delete a topic with all its records. Idempotent."""
        try:
            self._result(self._admin.delete_topics([name], request_timeout=self._timeout_s)[name])
        except KafkaException as error:
            if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise

    def _offsets(
        self, topic: str, partitions: Iterable[int], spec: OffsetSpec, isolation: IsolationLevel = IsolationLevel.READ_COMMITTED
    ) -> Offsets:
        asked = {TopicPartition(topic, partition): spec for partition in partitions}
        futures = self._admin.list_offsets(asked, isolation_level=isolation, request_timeout=self._timeout_s)
        return {at.partition: self._result(future).offset for at, future in futures.items()}

    def _of_group(self, group: str, ask: Callable[[AdminClient], Mapping[str, Future[T]]]) -> T:
        admin = admin_of_group(self._kafka, group, self._timeout_s)
        return self._result(ask(admin)[group])

    def _result(self, future: Future[T]) -> T:
        return future.result(timeout=2 * self._timeout_s)

"""Makes the broker's topics agree with the catalogue (``schemas/topics/``). The only thing that creates topics.

It never deletes one, never changes a partition count (keys would move and every stored mark would lie), and leaves settings alone
that the catalogue does not name.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TypeVar

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # its type hints do not mark re-exports
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
)
from confluent_kafka.cimpl import NewTopic

from connectors.plan import Step, differences
from schemas.topics import Topic

REQUEST_TIMEOUT_S = 15.0

T = TypeVar("T")


class TopicsRefusedError(RuntimeError):
    """A topic of the broker contradicts the catalogue in a way that must not be changed in place."""


@dataclass(frozen=True)
class BrokerTopic:
    """A topic as the broker has it: partitions, copies of each, and its settings as text."""

    partitions: int
    replicas: int
    config: Mapping[str, str]


def plan(wanted: Iterable[Topic], found: Mapping[str, BrokerTopic]) -> list[Step]:
    """What would make *found* agree with *wanted*; empty where it does."""
    steps: list[Step] = []
    for topic in wanted:
        existing = found.get(topic.name)
        if existing is None:
            steps.append(Step("create", topic.name, (f"{topic.partitions} partitions", *differences(topic.config, {}))))
        elif existing.partitions != topic.partitions:
            reason = (
                f"the broker has {existing.partitions} partitions, the catalogue says {topic.partitions}: keys would move to other"
                " partitions; restore the catalogue, or rebuild the pipeline on a new topic"
            )
            steps.append(Step("refuse", topic.name, (reason,)))
        elif changed := differences(topic.config, existing.config):
            steps.append(Step("alter", topic.name, changed))
    return steps


def apply(admin: AdminClient, wanted: Sequence[Topic], replication_factor: int) -> list[Step]:
    """Create and alter topics until ``plan`` is empty; returns the steps taken. Idempotent.

    Raises TopicsRefusedError (nothing is changed then), KafkaException, and TimeoutError where the broker does not show the change within 15 s.
    """
    steps = plan(wanted, read_topics(admin, [topic.name for topic in wanted]))
    refused = [str(step) for step in steps if step.action == "refuse"]
    if refused:
        raise TopicsRefusedError("\n".join(refused))
    by_name = {topic.name: topic for topic in wanted}
    create = [by_name[step.subject] for step in steps if step.action == "create"]
    alter = [by_name[step.subject] for step in steps if step.action == "alter"]
    if create:
        _create(admin, create, replication_factor)
    if alter:
        _alter(admin, alter)
    if steps:
        _wait_until_agreed(admin, wanted)
    return steps


def read_topics(admin: AdminClient, names: Sequence[str]) -> dict[str, BrokerTopic]:
    """Those of *names* that the broker has. Raises KafkaException where it cannot be reached within 15 s."""
    metadata = admin.list_topics(timeout=REQUEST_TIMEOUT_S).topics
    present = [name for name in names if name in metadata and metadata[name].error is None]
    if not present:
        return {}
    resources = [ConfigResource(ConfigResource.Type.TOPIC, name) for name in present]
    described = admin.describe_configs(resources, request_timeout=REQUEST_TIMEOUT_S)
    configs: dict[str, dict[str, str]] = {}
    for resource, future in described.items():
        try:
            configs[resource.name] = {name: entry.value for name, entry in _result(future).items()}
        except KafkaException as error:
            # Deleted, or made a moment ago and not known to every broker yet.
            if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise
    return {
        name: BrokerTopic(
            partitions=len(metadata[name].partitions),
            replicas=min(len(partition.replicas) for partition in metadata[name].partitions.values()),
            config=configs[name],
        )
        for name in configs
    }


def _create(admin: AdminClient, topics: Sequence[Topic], replication_factor: int) -> None:
    new = [NewTopic(topic.name, topic.partitions, replication_factor, config=dict(topic.config)) for topic in topics]
    for future in admin.create_topics(new, operation_timeout=REQUEST_TIMEOUT_S, request_timeout=REQUEST_TIMEOUT_S).values():
        try:
            _result(future)
        except KafkaException as error:
            # Another `apply` was first; whether it made the same topic is checked afterwards.
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise


def _wait_until_agreed(admin: AdminClient, wanted: Sequence[Topic]) -> None:
    """The controller answers before every broker has what it decided; who produces or plans at once would meet the old state."""
    names = [topic.name for topic in wanted]
    deadline = time.monotonic() + REQUEST_TIMEOUT_S
    while left := plan(wanted, read_topics(admin, names)):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not in force on the broker after {REQUEST_TIMEOUT_S:.0f} s: {'; '.join(str(step) for step in left)}")
        time.sleep(0.05)


def _alter(admin: AdminClient, topics: Sequence[Topic]) -> None:
    resources = [
        ConfigResource(
            ConfigResource.Type.TOPIC,
            topic.name,
            incremental_configs=[
                ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in topic.config.items()
            ],
        )
        for topic in topics
    ]
    for future in admin.incremental_alter_configs(resources, request_timeout=REQUEST_TIMEOUT_S).values():
        _result(future)


def _result(future: Future[T]) -> T:
    return future.result(timeout=2 * REQUEST_TIMEOUT_S)

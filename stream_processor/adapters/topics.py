"""The identity of a topic and the positions in it, by the admin client: positions belong to a topic, not to a name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from confluent_kafka import TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from schemas.partition_progress import PartitionProgress, misfit
from service_kit.group_coordinator import committed_offsets
from service_kit.settings import KafkaSettings

TIMEOUT_S = 15.0


class WrongTopic(RuntimeError):  # noqa: N818 - named for what it is
    """Stored positions do not belong to the topic as it is now. Going on would skip or repeat data; a rebuild goes on from there."""


@dataclass(frozen=True, slots=True)
class TopicIdentity:
    topic: str
    topic_id: str
    partitions: int


def identify(settings: KafkaSettings, topic: str) -> TopicIdentity:
    """The topic's id and partition count. Raises confluent_kafka.KafkaException where it does not exist or the broker does not answer in time."""
    # Asked every few seconds: librdkafka would remark on each client that ends.
    admin = AdminClient({**settings.librdkafka(), "log_level": 0})
    described = admin.describe_topics(TopicCollection([topic]), request_timeout=TIMEOUT_S)[topic].result(TIMEOUT_S)
    return TopicIdentity(topic, str(described.topic_id), len(described.partitions))


def require_same(known: TopicIdentity, now: TopicIdentity) -> None:
    """Raises WrongTopic where the topic was made anew, or has other partitions, since a worker began: its records would pass for ones that were handled before."""
    if now != known:
        raise WrongTopic(
            f"{known.topic} was made anew or changed while the worker ran: it was {known}, it is {now}. A rebuild has to go on from there (`bionicpro rebuild`)"
        )


def check_positions(
    settings: KafkaSettings,
    group: str,
    identity: TopicIdentity,
    progress: Callable[[], Iterable[PartitionProgress]],
    *,
    progress_first: bool,
    begins: Mapping[int, int],
) -> dict[int, int]:
    """By partition the offset up to which these tables have it. Raises WrongTopic where the topic was made anew, its partitions changed, a stored position lies beyond its end, or a committed offset before its start.

    *progress* reads the stored positions. *progress_first*: progress of this topic is stored before offsets are committed, so that a commit beyond it is refused too.
    *begins*: by partition the first offset that these tables handle, so that a position before it is refused.
    """
    # In this order: whatever is handled meanwhile moves progress beyond the commit, and the log's end beyond both.
    commits = committed(settings, group, identity)
    rows = list(progress())
    starts, ends = _bounds(settings, identity)
    if problem := misfit(rows, identity.topic_id, dict(enumerate(ends))):
        raise WrongTopic(f"{problem}: `bionicpro rebuild` goes on from there")
    handled = {row.partition: row.handled_offset for row in rows}
    for partition, start in enumerate(starts):
        where = f"{identity.topic}/{partition}"
        if max(commits.get(partition, start), start) < (begin := begins.get(partition, 0)):
            raise WrongTopic(
                f"{where}: {commits.get(partition, 'nothing')} is committed, but these tables begin at {begin}: what lies before belongs to what they were rebuilt from. "
                f"Set the group {group} to {begin} or later with Kafka's tools, or `bionicpro replay`, which goes back as far as that"
            )
        # Where nothing was ever committed it is read from the log's beginning.
        if progress_first and partition not in commits and start > handled.get(partition, -1) + 1:
            raise WrongTopic(
                f"{where}: nothing is committed, these tables hold the log up to {handled.get(partition)}, but it begins at {start}: records are lost, "
                "`bionicpro rebuild` goes on from there"
            )
    for partition, offset in commits.items():
        where = f"{identity.topic}/{partition}"
        if offset < starts[partition]:
            raise WrongTopic(
                f"{where}: committed {offset}, but the log begins at {starts[partition]}: records are lost, `bionicpro rebuild` goes on from there"
            )
        # Progress is written before a record is acknowledged, so a commit ahead of it means that the tables are older than the commit.
        if progress_first and offset > max(handled.get(partition, -1) + 1, starts[partition]):
            raise WrongTopic(
                f"{where}: committed {offset}, but these tables hold the log up to {handled.get(partition)}: records would be skipped. "
                f"Set the group {group} back: `bionicpro replay --from` a moment before the backup, or `bionicpro rebuild`"
            )
    return handled


def _bounds(settings: KafkaSettings, identity: TopicIdentity) -> tuple[list[int], list[int]]:
    """First and next offset of every partition."""
    admin = AdminClient(settings.librdkafka())
    partitions = [TopicPartition(identity.topic, p) for p in range(identity.partitions)]
    bounds = []
    for spec in (OffsetSpec.earliest(), OffsetSpec.latest()):  # type: ignore[no-untyped-call]
        futures = admin.list_offsets(dict.fromkeys(partitions, spec), request_timeout=TIMEOUT_S)
        by_partition = {tp.partition: future.result(TIMEOUT_S).offset for tp, future in futures.items()}
        bounds.append([by_partition[p] for p in range(identity.partitions)])
    return bounds[0], bounds[1]


def committed(settings: KafkaSettings, group: str, identity: TopicIdentity) -> dict[int, int]:
    """The group's committed offsets of the topic, by partition; those never committed are left out."""
    return committed_offsets(settings, group, identity.topic, range(identity.partitions), TIMEOUT_S)

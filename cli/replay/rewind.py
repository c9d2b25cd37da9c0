"""Sets the processor's committed offsets of the log back to a moment. Never forward: what was not handled yet is not passed over. What lies before the present tables is none of that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from cli.broker import Broker, Group
from schemas.keys import LOG_TOPIC

EMPTY_STATES = frozenset({"EMPTY", "DEAD"})


class RewindRefusedError(RuntimeError):
    """The offsets cannot be set; nothing was changed. The message says why and what to do."""


@dataclass(frozen=True)
class Rewind:
    """*offsets*: what will be committed, by partition, where it is less than now, or now is before the tables begin; *records*: how many will be read again, at most."""

    offsets: Mapping[int, int]
    records: int


def refuse_while_read(group: Group) -> None:
    """Raises RewindRefusedError while somebody reads: Kafka sets offsets of a group without members only."""
    if group.state not in EMPTY_STATES or group.members:
        members = ", ".join(group.members) or "a member that left without a word, until its session ends"
        raise RewindRefusedError(f"the group {group.name} is {group.state}: stop its workers first ({members})")


def rewind(committed: Mapping[int, int], at_time: Mapping[int, int], begins: Mapping[int, int]) -> Rewind:
    """What takes *committed* back to the offsets *at_time*, but not to before *begins*, to where whatever lies before or nowhere is set. Else a partition without a committed offset begins at its start anyway."""
    too_early = {partition: begin for partition, begin in begins.items() if committed.get(partition, 0) < begin}
    wanted = {partition: max(at_time[partition], begins.get(partition, 0)) for partition in committed}
    back = {partition: wanted[partition] for partition, offset in committed.items() if wanted[partition] < offset}
    return Rewind(back | too_early, sum(committed[partition] - offset for partition, offset in back.items()))


def plan(broker: Broker, group: str, since: datetime, begins: Mapping[int, int]) -> Rewind:
    """What is to be done for *since* (aware). *begins*: by partition the first offset of the tables that are served. Raises RewindRefusedError while the group has members or where the log is not there, KafkaException."""
    refuse_while_read(broker.group(group))
    topic = broker.topics([LOG_TOPIC]).get(LOG_TOPIC)
    if topic is None:
        raise RewindRefusedError(f"topic {LOG_TOPIC} does not exist: `bionicpro topics apply`")
    at_time = broker.offsets_at(LOG_TOPIC, topic.ends, int(since.timestamp() * 1000))
    return rewind(broker.committed(group, LOG_TOPIC, topic.ends), at_time, begins)


def carry_out(broker: Broker, group: str, planned: Rewind) -> None:
    """Commit the offsets. Idempotent; raises RewindRefusedError where a worker came meanwhile, KafkaException."""
    refuse_while_read(broker.group(group))
    if planned.offsets:
        broker.commit(group, LOG_TOPIC, planned.offsets)

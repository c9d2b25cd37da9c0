"""Does the group look after the log? Kafka's client library can lose its part in a group, or give every partition to nobody, without an error.

The first when a task of its own dies of an unexpected answer; the second when the group's leader shares out topics while a restarted broker names none yet.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from confluent_kafka import ConsumerGroupState, KafkaError, KafkaException

from service_kit.group_coordinator import admin_of_group
from service_kit.settings import KafkaSettings

TIMEOUT_S = 5.0
LOOKS = 2
LOOKS_FOR_ITSELF = 4
"""A worker that was silent for longer than its session lasts (the machine was busy) joins again by itself. Only one that does not is to begin anew."""
UNKNOWN = "the group does not know this worker, and it does not join again (where it was silent for too long: BIONICPRO_PROCESSOR__SESSION_TIMEOUT_S)"


@dataclass(frozen=True, slots=True)
class Membership:
    """A consumer group as its coordinator sees it: *settled* unless it is being shared out; the ids of its members, and how many partitions of the log they own."""

    settled: bool
    members: frozenset[str]
    owned: int


def membership(settings: KafkaSettings, group: str, topic: str) -> Membership:
    """Raises confluent_kafka.KafkaException or TimeoutError where the broker does not answer."""
    admin = admin_of_group(settings, group, TIMEOUT_S)
    try:
        found = admin.describe_consumer_groups([group], request_timeout=TIMEOUT_S)[group].result(TIMEOUT_S)
    except KafkaException as error:
        if error.args[0].code() != KafkaError.GROUP_ID_NOT_FOUND:
            raise
        return Membership(True, frozenset(), 0)
    owned = {at.partition for member in found.members for at in member.assignment.topic_partitions if at.topic == topic}
    settled = found.state in {ConsumerGroupState.STABLE, ConsumerGroupState.EMPTY, ConsumerGroupState.DEAD}
    return Membership(settled, frozenset(member.member_id for member in found.members), len(owned))


class Watch:
    """Tells what is wrong with the group when it was wrong at several looks on end: a rebalance is on its way at any single one."""

    def __init__(self, look: Callable[[], Membership], partitions: int) -> None:
        self._look = look
        self._partitions = partitions
        self._wrong = 0

    def complaint(self, member_id: str) -> str | None:
        """Look once, as the member *member_id*. Raises what *look* raises; that counts for nothing."""
        now = self._look()
        said = _complaint(now, member_id, self._partitions) if now.settled else None
        self._wrong = self._wrong + 1 if said else 0
        return said if self._wrong >= (LOOKS_FOR_ITSELF if said == UNKNOWN else LOOKS) else None


def _complaint(now: Membership, member_id: str, partitions: int) -> str | None:
    if member_id not in now.members:
        return UNKNOWN
    if now.owned < partitions:
        return f"nobody in the group owns {partitions - now.owned} of {partitions} partitions"
    return None

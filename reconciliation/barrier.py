"""A snapshot of PostgreSQL and the proof that the processor has handled everything in it.

In one transaction the snapshot is exported and a token is written into the heartbeat rows, one of which lands in each partition of the log.
What committed before the snapshot is emitted before the token, so when every partition's token is handled, so is the whole snapshot.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec
import psycopg
from confluent_kafka import Consumer, KafkaException, TopicPartition
from psycopg import Connection

from reconciliation.source_sql import query, table
from service_kit.retries import Policy, retrying
from service_kit.settings import KafkaSettings, PostgresSettings

_POLL_S = 0.02
_METADATA_TIMEOUT_S = 10.0
_MARKING = Policy(first_s=0.05, most_s=0.4, attempts=20)
_COLLISIONS = (psycopg.errors.SerializationFailure, psycopg.errors.LockNotAvailable)


class BarrierError(RuntimeError):
    """A barrier could not be raised or was not handled in time; the message names the place and what to look at."""


class _Heartbeat(msgspec.Struct):
    barrier: str | None = None


class _Envelope(msgspec.Struct):
    after: _Heartbeat | None = None


_decode = msgspec.json.Decoder(_Envelope).decode


@contextmanager
def snapshot(database: PostgresSettings, heartbeats: str, token: str) -> Iterator[tuple[Connection[Any], int]]:
    """A read-only connection that sees one snapshot, and how many heartbeat rows got *token* in that snapshot's transaction.

    Nothing is held in the source but the snapshot itself. Raises BarrierError where the rows stay locked, psycopg.Error otherwise.
    """
    with psycopg.connect(**database.conninfo()) as reader:  # type: ignore[arg-type]  # keyword arguments of mixed types
        with psycopg.connect(**database.conninfo()) as writer:  # type: ignore[arg-type]
            marked = _mark(writer, reader, heartbeats, token)
        try:
            yield reader, marked
        finally:
            reader.rollback()


def _mark(writer: Connection[Any], reader: Connection[Any], heartbeats: str, token: str) -> int:
    """The connector's own heartbeat updates the same rows: whoever comes second has to begin again, and that shall be us."""
    writer.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    reader.read_only = True

    def attempt() -> int:
        try:
            # Shorter than the time after which PostgreSQL looks for deadlocks, so that the connector is never their victim.
            writer.execute("SET LOCAL lock_timeout = '300ms'")
            marked = writer.execute(query("barrier", heartbeats=table(heartbeats)), {"token": token}).rowcount
            exported = writer.execute("SELECT pg_export_snapshot()").fetchone()
            reader.execute(psycopg.sql.SQL("SET TRANSACTION SNAPSHOT {}").format(psycopg.sql.Literal(exported[0] if exported else "")))
            writer.commit()
        except _COLLISIONS:
            writer.rollback()
            reader.rollback()
            raise
        return marked

    try:
        return retrying(_MARKING, when=lambda error: isinstance(error, _COLLISIONS))(attempt)
    except _COLLISIONS:
        raise BarrierError(
            f"{heartbeats}: the rows were locked or changed by another session at each of {_MARKING.attempts} attempts"
        ) from None


class Tail:
    """The end of one topic, read by a consumer of its own: committed records only, no group, nothing acknowledged. Not thread-safe."""

    def __init__(self, kafka: KafkaSettings, topic: str) -> None:
        self.topic = topic
        self._consumer = Consumer(kafka.consumer("bionicpro-verify") | {"enable.auto.commit": False, "auto.offset.reset": "error"})

    def close(self) -> None:
        self._consumer.close()

    def ends(self) -> dict[int, int]:
        """The next offset of each partition. Raises KafkaException; BarrierError where there is no such topic."""
        metadata = self._consumer.list_topics(self.topic, timeout=_METADATA_TIMEOUT_S).topics[self.topic]
        if metadata.error is not None or not metadata.partitions:
            raise BarrierError(f"topic {self.topic}: {metadata.error or 'it has no partitions'}; run `bionicpro topics plan`")
        partitions = [TopicPartition(self.topic, partition) for partition in metadata.partitions]
        return {at.partition: self._consumer.get_watermark_offsets(at, timeout=_METADATA_TIMEOUT_S, cached=False)[1] for at in partitions}

    def find(self, token: str, ends: Mapping[int, int], deadline: float, meanwhile: Callable[[], None] = lambda: None) -> dict[int, int]:
        """The offset of *token*'s heartbeat in each partition, looked for from *ends* on until *deadline* (of ``time.monotonic``).

        *meanwhile* is called again and again; what it raises ends the search.
        """
        found: dict[int, int] = {}
        self._consumer.assign([TopicPartition(self.topic, partition, offset) for partition, offset in ends.items()])
        try:
            while found.keys() != ends.keys():
                if time.monotonic() > deadline:
                    raise BarrierError(_not_delivered(self.topic, ends.keys() - found.keys()))
                meanwhile()
                for message in self._consumer.consume(num_messages=1000, timeout=_POLL_S):
                    if message.error() is not None:
                        raise KafkaException(message.error())
                    partition, offset = message.partition(), message.offset()
                    if partition is not None and offset is not None and _token_of(message.value()) == token:
                        found.setdefault(partition, offset)
        finally:
            self._consumer.unassign()
        return found


def await_handled(
    topic: str, barriers: Mapping[int, int], handled: Callable[[str], Mapping[int, int]], deadline: float, patience_s: float = 0.0
) -> None:
    """Return when *handled* reports every partition of *topic* at or beyond its barrier; BarrierError names those behind at *deadline*.

    Whatever is handled on the way to the barrier gives *patience_s* more: a backlog, as a large repair makes one, is no standstill.
    """
    furthest: int | None = None
    while True:
        reached = handled(topic)
        done = sum(min(reached.get(partition, -1), offset) for partition, offset in barriers.items())
        if furthest is not None and done > furthest:
            deadline = max(deadline, time.monotonic() + patience_s)
        furthest = done if furthest is None else max(furthest, done)
        behind = {partition: offset for partition, offset in barriers.items() if reached.get(partition, -1) < offset}
        if not behind:
            return
        if time.monotonic() > deadline:
            raise BarrierError(_not_handled(topic, behind, reached))
        time.sleep(_POLL_S)


def _token_of(value: bytes | None) -> str | None:
    if value is None or b'"barrier"' not in value:
        return None
    try:
        envelope = _decode(value)
    except msgspec.DecodeError:
        # The topic may hold anything; what is no envelope is no barrier.
        return None
    return envelope.after.barrier if envelope.after else None


def _not_delivered(topic: str, partitions: set[int]) -> str:
    names = ", ".join(map(str, sorted(partitions)))
    return f"the barrier did not arrive in topic {topic}, partitions {names}: is the connector running? (`bionicpro status`)"


def _not_handled(topic: str, behind: Mapping[int, int], reached: Mapping[int, int]) -> str:
    places = ", ".join(
        f"{partition} (handled {reached.get(partition, 'nothing')}, barrier {offset})" for partition, offset in behind.items()
    )
    return f"the processor did not handle the barrier in time: topic {topic}, partitions {places}; is it running? (`bionicpro status`)"

"""Fills ``prosthesis.log`` as the connector and the directory do: keys and partitions of schemas/keys.py, lz4, in transactions."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from benchmarks.servers import progress
from benchmarks.telemetry import Array, Events, envelopes, ownership_document
from schemas.keys import LOG_TOPIC, partition_of, prosthesis_key
from schemas.topics import log_partitions
from service_kit.settings import ClientConfig, KafkaSettings

RECORDS_PER_TRANSACTION = 16_384  # max.batch.size of connectors/telemetry.json
TIMEOUT_S = 60.0
TOLD_EVERY = 500_000
QUEUE_RECORDS = 200_000


@dataclass(frozen=True)
class Filled:
    """Where the records are: ``ends`` is the offset of the last one by partition, ``indexes`` the events of each partition in log order."""

    records: int
    ends: Mapping[int, int]
    indexes: Mapping[int, Array]

    def first_events(self, counts: Mapping[int, int]) -> list[int]:
        """The indexes of the first *counts* events of each partition: what a reader that stopped early has seen."""
        return [index for partition, count in counts.items() for index in self.indexes[partition][:count].tolist()]


class LogWriter:
    """Not for threads. Every ``write`` ends with a committed transaction; offsets come from the broker's acknowledgements."""

    def __init__(self, kafka: KafkaSettings) -> None:
        # A coordinator that is still loading, and servers stopped at the end, are no news.
        tuned: ClientConfig = {
            "log_level": 2,
            "compression.type": "lz4",
            "linger.ms": 5,
            "batch.size": 524_288,
            "queue.buffering.max.messages": QUEUE_RECORDS + 10_000,
        }
        self._producer = Producer(kafka.producer() | tuned | {"transactional.id": f"bench-{secrets.token_hex(4)}"})
        self._producer.init_transactions(TIMEOUT_S)
        self._ends: dict[int, int] = {}
        self._refused: list[KafkaError] = []

    @property
    def ends(self) -> dict[int, int]:
        return dict(self._ends)

    def write(self, records: Iterable[tuple[bytes, int, bytes | str]]) -> int:
        """(key, partition, value) records, in order; how many. Raises KafkaException where the broker refuses one."""
        count = 0
        self._producer.begin_transaction()
        for count, (key, partition, value) in enumerate(records, 1):
            if count % RECORDS_PER_TRANSACTION == 0:
                self._commit()
                self._producer.begin_transaction()
            self._producer.produce(LOG_TOPIC, value, key, partition, on_delivery=self._delivered)
            if count % 1000 == 0:
                self._producer.poll(0)
            if count % TOLD_EVERY == 0:
                progress(f"{count:,} records written")
        self._commit()
        return count

    def _commit(self) -> None:
        self._producer.commit_transaction(TIMEOUT_S)
        if self._refused:
            raise KafkaException(self._refused[0])

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._refused.append(error)
            return
        partition, offset = message.partition(), message.offset()
        if partition is not None and offset is not None:
            self._ends[partition] = max(self._ends.get(partition, -1), offset)


def placed(prostheses: int) -> tuple[list[bytes], list[int]]:
    """Key and partition of each prosthesis 0 … *prostheses*."""
    keys = [prosthesis_key(prosthesis) for prosthesis in range(prostheses + 1)]
    return keys, [partition_of(key, log_partitions()) for key in keys]


def write_owners(writer: LogWriter, prostheses: Sequence[int]) -> int:
    """The ownership document of each of *prostheses*, as the directory sends it."""
    keys, partitions = placed(max(prostheses))
    return writer.write((keys[one], partitions[one], ownership_document(one)) for one in prostheses)


def write_events(writer: LogWriter, events: Events) -> int:
    keys, partitions = placed(int(events.prosthesis.max()))
    return writer.write(
        (keys[one], partitions[one], value) for one, value in zip(events.prosthesis.tolist(), envelopes(events), strict=True)
    )


def fill(kafka: KafkaSettings, events: Events, prostheses: int) -> Filled:
    """Owners first, then *events*."""
    writer = LogWriter(kafka)
    records = write_owners(writer, range(1, prostheses + 1)) + write_events(writer, events)
    _, partitions = placed(prostheses)
    partition = np.array(partitions)[events.prosthesis]
    return Filled(records, writer.ends, {one: np.flatnonzero(partition == one) for one in range(log_partitions())})

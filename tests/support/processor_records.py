"""Records written to and read from Kafka past the pipe: what no connector would send, and the dead letters that come of it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition

from schemas.keys import DEAD_LETTER_TOPIC, LOG_TOPIC, partition_of, prosthesis_key
from schemas.topics import log_partitions
from tests.support.system import System
from tests.support.waiting import PATIENCE_S

HEADER = "bionicpro-dead-"


@dataclass(frozen=True)
class DeadLetter:
    """A record of the dead-letter topic, and where the headers say that it comes from."""

    key: bytes | None
    value: bytes | None
    topic: str
    partition: int
    offset: int
    reason: str
    error: str
    truncated: str = ""
    sha256: str = ""


class Records:
    """Reads only what was committed, and dead letters only from its making on."""

    def __init__(self, system: System) -> None:
        self._kafka = system.kafka.settings()
        at = TopicPartition(DEAD_LETTER_TOPIC, 0)
        self._dead = Consumer(self._kafka.consumer("test-processor-dead-letters") | {"enable.auto.commit": False})
        self._dead.assign([TopicPartition(at.topic, at.partition, self._dead.get_watermark_offsets(at, timeout=PATIENCE_S)[1])])
        self._seen: list[DeadLetter] = []

    def close(self) -> None:
        self._dead.close()

    def produce(self, prosthesis: int, value: bytes, *, commit: bool = True) -> None:
        """One record of the log in its prosthesis's partition, in a transaction that is committed, or aborted once the broker has the record."""
        key = prosthesis_key(prosthesis)
        producer = Producer(self._kafka.producer() | {"compression.type": "lz4", "transactional.id": f"test-{secrets.token_hex(4)}"})
        producer.init_transactions(PATIENCE_S)
        producer.begin_transaction()
        refused: list[KafkaError] = []
        producer.produce(
            LOG_TOPIC,
            value,
            key,
            partition_of(key, log_partitions()),
            on_delivery=lambda error, _: refused.append(error) if error else None,
        )
        assert producer.flush(PATIENCE_S) == 0
        assert refused == []
        if commit:
            producer.commit_transaction(PATIENCE_S)
        else:
            producer.abort_transaction(PATIENCE_S)

    def wait_for_dead_letter(self, wanted: Callable[[DeadLetter], bool]) -> DeadLetter:
        """The first dead letter that is *wanted*; AssertionError at the limit."""
        end = time.monotonic() + PATIENCE_S
        while not (found := [letter for letter in self._seen if wanted(letter)]):
            assert time.monotonic() < end, (
                f"no such dead letter within {PATIENCE_S:.0f} s; seen: {[letter.reason for letter in self._seen]}"
            )
            self._seen += map(_dead_letter, _good(self._dead.consume(500, timeout=0.2)))
        return found[0]

    def dead_letters_of(self, prosthesis: int) -> list[DeadLetter]:
        """Those that were seen so far."""
        return [letter for letter in self._seen if letter.key == prosthesis_key(prosthesis)]

    def original(self, letter: DeadLetter) -> tuple[bytes | None, bytes | None]:
        """Key and value of the record that the letter says it was."""
        consumer = Consumer(self._kafka.consumer("test-processor-log") | {"enable.auto.commit": False})
        try:
            consumer.assign([TopicPartition(letter.topic, letter.partition, letter.offset)])
            end = time.monotonic() + PATIENCE_S
            while not (found := _good(consumer.consume(1, timeout=0.5))):
                assert time.monotonic() < end, f"nothing at {letter.topic}/{letter.partition}/{letter.offset}"
            assert found[0].offset() == letter.offset
            return found[0].key(), found[0].value()
        finally:
            consumer.close()


def _good(messages: list[Message]) -> list[Message]:
    for message in messages:
        assert message.error() is None, message.error()
    return messages


def _dead_letter(message: Message) -> DeadLetter:
    pairs = [(name, value or b"") for name, value in _headers(message)]
    headers = {name.removeprefix(HEADER): value.decode() for name, value in pairs if name.startswith(HEADER)}
    return DeadLetter(
        key=message.key(),
        value=message.value(),
        topic=headers["topic"],
        partition=int(headers["partition"]),
        offset=int(headers["offset"]),
        reason=headers["reason"],
        error=headers["error"],
        truncated=headers.get("truncated", ""),
        sha256=headers.get("sha256", ""),
    )


def _headers(message: Message) -> list[tuple[str, bytes | None]]:
    """As they came, in order."""
    headers: Any = message.headers()
    return list(headers or ())

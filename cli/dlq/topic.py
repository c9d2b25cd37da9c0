"""The dead-letter topic at the broker: read it, send records back, delete from its beginning. It has one partition (see the catalogue)."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import cast

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from cli.broker import Broker
from cli.dlq.dead_letters import DeadLetter, Selection, parse
from schemas.keys import DEAD_LETTER_TOPIC
from service_kit.settings import KafkaSettings

PARTITION = 0
POLL_S = 0.2
FLUSH_S = 60.0


class DeadLetterError(RuntimeError):
    """The topic cannot be read to its end, or records did not arrive; the message says what to do."""


class DeadLetterTopic:
    """Reads committed records with a consumer of its own: no group, nothing acknowledged. Not thread-safe."""

    def __init__(self, kafka: KafkaSettings, timeout_s: float = 30.0) -> None:
        self._kafka = kafka
        self._timeout_s = timeout_s
        self._broker = Broker(kafka, min(timeout_s, 10.0))
        config = kafka.consumer("bionicpro-dlq") | {"enable.auto.commit": False, "auto.offset.reset": "error", "log_level": 0}
        self._consumer = Consumer(config)

    def close(self) -> None:
        self._consumer.close()

    def bounds(self) -> tuple[int, int]:
        """The first offset that is kept and the next one to come. Raises KafkaException, DeadLetterError where there is no such topic."""
        topic = self._broker.topics([DEAD_LETTER_TOPIC]).get(DEAD_LETTER_TOPIC)
        if topic is None:
            raise DeadLetterError(f"topic {DEAD_LETTER_TOPIC} does not exist: `bionicpro topics apply`")
        if set(topic.ends) != {PARTITION}:
            raise DeadLetterError(f"topic {DEAD_LETTER_TOPIC} has {len(topic.ends)} partitions, one is expected: `bionicpro topics plan`")
        return topic.starts[PARTITION], topic.ends[PARTITION]

    def newest(self, number: int) -> tuple[int, list[DeadLetter]]:
        """How many there are, and the newest *number* of them, the oldest first."""
        start, end = self.bounds()
        return end - start, list(self._read(max(start, end - number), end))

    def all(self) -> Iterator[DeadLetter]:
        """Those that are there now, the oldest first; what comes meanwhile is not among them."""
        return self._read(*self.bounds())

    def one(self, offset: int) -> DeadLetter:
        """The dead letter at *offset*. Raises DeadLetterError where there is none."""
        start, end = self.bounds()
        if start <= offset < end:
            for letter in self._read(offset, offset + 1):
                return letter
        raise DeadLetterError(
            f"no dead letter at offset {offset}: there are {start} to {end - 1}" if end > start else "there are no dead letters"
        )

    def purge(self, before: int) -> None:
        """Delete everything before offset *before*, for good. Idempotent."""
        self._broker.delete_before(DEAD_LETTER_TOPIC, PARTITION, before)

    def _read(self, start: int, end: int) -> Iterator[DeadLetter]:
        """The records from *start* until *end* (not included). The deadline is for silence: a long topic may take longer than it."""
        if start >= end:
            return
        self._consumer.assign([TopicPartition(DEAD_LETTER_TOPIC, PARTITION, start)])
        heard, at = time.monotonic(), start
        try:
            while at < end:
                for message in self._consumer.consume(num_messages=500, timeout=POLL_S):
                    letter = _letter(message)
                    heard = time.monotonic()
                    if letter.offset < end:
                        yield letter
                if time.monotonic() - heard > self._timeout_s:
                    raise DeadLetterError(f"{DEAD_LETTER_TOPIC} could not be read beyond offset {at} of {end} within {self._timeout_s:g} s")
                at = max(at, self._position())
        finally:
            self._consumer.unassign()

    def _position(self) -> int:
        """Where the next record would be read from: beyond the end of transactions and of gaps too."""
        return self._consumer.position([TopicPartition(DEAD_LETTER_TOPIC, PARTITION)])[0].offset


def _letter(message: Message) -> DeadLetter:
    error = message.error()
    if error is not None:
        raise KafkaException(error)
    at = datetime.fromtimestamp(message.timestamp()[1] / 1000, UTC)
    return parse(
        message.offset() or 0, at, message.key(), message.value(), cast(Sequence[tuple[str, bytes | None]], message.headers() or ())
    )


def send_back(kafka: KafkaSettings, letters: Iterable[DeadLetter]) -> int:
    """Append *letters* to the topics they came from, in their order, under their own key, headers and partitioner; wait for all acknowledgements.

    Returns their number. Raises DeadLetterError naming the first that failed; sending again what did arrive changes no report.
    """
    producer = Producer(kafka.producer() | {"log_level": 0})
    failed: list[str] = []
    sent = 0
    for letter in letters:
        _produce(producer, letter, failed)
        sent += 1
    left = producer.flush(FLUSH_S)
    if left or failed:
        raise DeadLetterError(
            f"{left + len(failed)} of {sent} records did not arrive: {failed[0] if failed else 'no answer'}; replay again"
        )
    return sent


def _produce(producer: Producer, letter: DeadLetter, failed: list[str]) -> None:
    def delivered(error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            failed.append(f"offset {letter.offset}: {error.str()}")

    # -1: the partitioner's choice. A record without a key has no other place than the one it had.
    partition = letter.partition if letter.key is None else -1
    until = time.monotonic() + FLUSH_S
    while True:
        try:
            producer.produce(letter.topic, letter.value, letter.key, partition, delivered, headers=list(letter.headers))
        except BufferError:
            # The producer's queue is full: what is in it must go out first.
            if time.monotonic() > until:
                raise DeadLetterError(f"the broker takes no more records at offset {letter.offset}: replay again later") from None
            producer.poll(POLL_S)
        else:
            producer.poll(0)
            return


def chosen(letters: Iterable[DeadLetter], selection: Selection) -> list[DeadLetter]:
    """Those of *letters* that are meant."""
    return [letter for letter in letters if letter in selection]

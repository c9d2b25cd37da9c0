"""Dead letters against a real broker: listed, shown, sent back as they were, deleted."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator

import pytest
from confluent_kafka import Consumer, Message, Producer, TopicPartition

from cli.dlq.topic import DeadLetterTopic
from schemas.commands import Recompute, encode_command
from schemas.keys import DEAD_LETTER_TOPIC, LOG_TOPIC, partition_of, prosthesis_key
from schemas.topics import log_partitions
from service_kit.settings import KafkaSettings
from tests.support.operator import Operator
from tests.support.system import System
from tests.support.waiting import PATIENCE_S

KEY = prosthesis_key(987654321)
# Accepted by a processor that may run, and without effect: nobody has this prosthesis.
COMMAND = encode_command(Recompute(command_id="test-dlq", prosthesis_id=KEY.decode(), reason="test"))
PARTITION = partition_of(KEY, log_partitions())
VALUE = b'{"op":"c","note":"\xff secret"}'
OWN_HEADERS = [("trace", b"\x00\xff"), ("trace", b"again")]

Refuse = Callable[..., int]


@pytest.fixture(scope="module")
def kafka_settings(pipe: System) -> KafkaSettings:
    return pipe.kafka.settings()


@pytest.fixture(scope="module")
def operator(pipe: System) -> Iterator[Operator]:
    """Its dead letters are gone afterwards: to other tests every one is a fault."""
    operator = Operator(pipe.variables("operator"))
    yield operator
    operator("dlq", "purge", "--all", "--yes")


@pytest.fixture
def refuse(kafka_settings: KafkaSettings) -> Refuse:
    """Appends a dead letter as the processor does and returns its offset."""

    def append(reason: str, topic: str = LOG_TOPIC, value: bytes | None = VALUE) -> int:
        told = {"topic": topic, "partition": str(PARTITION), "offset": "5", "reason": reason, "error": "by a test"}
        headers = OWN_HEADERS + [(f"bionicpro-dead-{name}", text.encode()) for name, text in told.items()]
        delivered: list[int] = []
        producer = Producer(kafka_settings.producer())
        producer.produce(DEAD_LETTER_TOPIC, value, KEY, headers=headers, on_delivery=lambda _, message: delivered.append(message.offset()))
        assert producer.flush(PATIENCE_S) == 0
        return delivered[0]

    return append


@pytest.fixture
def reason() -> str:
    """One that no other test uses: the topic is shared."""
    return f"test-{secrets.token_hex(4)}"


@pytest.fixture
def log_tail(kafka_settings: KafkaSettings) -> Iterator[Callable[[int], list[Message]]]:
    """What came to the test's key in the log after the fixture began; waits until *number* are there."""
    consumer = Consumer(kafka_settings.consumer("test-dlq") | {"enable.auto.commit": False})
    end = consumer.get_watermark_offsets(TopicPartition(LOG_TOPIC, PARTITION), timeout=PATIENCE_S)[1]
    consumer.assign([TopicPartition(LOG_TOPIC, PARTITION, end)])

    def read(number: int) -> list[Message]:
        found: list[Message] = []
        until = time.monotonic() + PATIENCE_S
        while len(found) < number and time.monotonic() < until:
            found += [message for message in consumer.consume(100, timeout=0.1) if message.error() is None and message.key() == KEY]
        return found

    yield read
    consumer.close()


def test_a_list_counts_by_reason_and_shows_the_newest_without_their_values(operator: Operator, refuse: Refuse, reason: str) -> None:
    first, last = refuse(reason), refuse(reason)
    listed = operator.json("dlq", "list", "--reason", reason)
    assert listed["reasons"][reason] == 2
    assert listed["count"] >= 2
    assert [letter["offset"] for letter in listed["newest"]] == [first, last]
    text = operator("dlq", "list", "--reason", reason, "--limit", "1").output
    assert f"{LOG_TOPIC}/{PARTITION}@5" in text
    assert str(first) not in [line.split()[0] for line in text.splitlines() if "@5" in line]
    assert "secret" not in text


def test_a_value_is_shown_only_when_it_is_asked_for(operator: Operator, refuse: Refuse, reason: str) -> None:
    offset = str(refuse(reason))
    hidden, shown = operator("dlq", "show", offset), operator("dlq", "show", offset, "--value")
    assert "by a test" in hidden.output
    assert "secret" not in hidden.output
    assert "secret" in shown.output
    assert operator.json("dlq", "show", offset, "--value")["value"] == '{"op":"c","note":"\\xff secret"}'


def test_an_offset_without_a_dead_letter_is_an_error(operator: Operator) -> None:
    result = operator("dlq", "show", "999999999")
    assert result.exit_code == 1
    assert "no dead letter" in result.output


def test_a_replay_sends_back_exactly_what_was_refused(
    operator: Operator, refuse: Refuse, reason: str, log_tail: Callable[[int], list[Message]]
) -> None:
    refuse(reason, value=COMMAND)
    refuse(f"{reason}-other")
    assert operator.json("dlq", "replay", "--reason", reason, "--yes") == {"sent": 1, "refused": {}, "missing": []}
    (message,) = log_tail(1)
    assert (message.partition(), message.key(), message.value(), message.headers()) == (PARTITION, KEY, COMMAND, OWN_HEADERS)
    assert operator.json("dlq", "list", "--reason", reason)["reasons"][reason] == 1


def test_nothing_is_sent_or_deleted_without_a_yes(operator: Operator, refuse: Refuse, kafka_settings: KafkaSettings) -> None:
    offset = str(refuse("test-asked"))
    topic = DeadLetterTopic(kafka_settings)
    before = topic.bounds()
    topic.close()
    for command in (("replay", "--offset", offset), ("purge", "--up-to", offset)):
        result = operator("dlq", *command, answer="n\n")
        assert result.exit_code == 1
        assert "?" in result.stderr
    assert operator.json("dlq", "show", offset)["offset"] == int(offset)
    topic = DeadLetterTopic(kafka_settings)
    assert topic.bounds() == before
    topic.close()


def test_rows_of_the_crm_stay_and_are_named(operator: Operator, refuse: Refuse, reason: str) -> None:
    offset = refuse(reason, topic="crm.changes")
    result = operator.json("dlq", "replay", "--offset", str(offset), "--offset", "999999999", "--yes", code=1)
    assert result["sent"] == 0
    assert "crm.changes" in result["refused"][str(offset)]
    assert result["missing"] == [999999999]


def test_a_replay_needs_to_be_told_which(operator: Operator) -> None:
    for arguments in (("replay",), ("replay", "--all", "--reason", "x"), ("purge",), ("purge", "--all", "--up-to", "3")):
        assert operator("dlq", *arguments, "--yes").exit_code == 2


def test_a_purge_deletes_up_to_an_offset_and_not_beyond(operator: Operator, refuse: Refuse, reason: str) -> None:
    first, second = refuse(reason), refuse(reason)
    assert operator.json("dlq", "purge", "--up-to", str(first), "--yes")["before"] == first + 1
    assert [letter["offset"] for letter in operator.json("dlq", "list", "--reason", reason)["newest"]] == [second]
    assert operator.json("dlq", "purge", "--up-to", str(first), "--yes")["deleted"] == 0


def test_a_broker_that_is_away_is_one_line_and_a_code_of_its_own(operator: Operator) -> None:
    result = operator.with_variables(BIONICPRO_KAFKA__BOOTSTRAP_SERVERS="127.0.0.1:1")("dlq", "list")
    assert result.exit_code == 69
    assert len(result.stderr.strip().splitlines()) == 1

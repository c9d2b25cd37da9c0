"""What the real processor refuses, byte for byte, and what so much of it does to the processor."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer

from cli.dlq.dead_letters import DeadLetter
from cli.dlq.topic import DeadLetterTopic
from schemas.keys import LOG_TOPIC, partition_of, prosthesis_key
from schemas.topics import log_partitions
from service_kit.settings import KafkaSettings
from tests.support.expendable import PROCESSOR, Site
from tests.support.processor import ProcessorProcess, until
from tests.support.system import System

pytestmark = pytest.mark.timeout(600)
KEY = prosthesis_key(987_650_001)
VALUE = b'{"op":"c","note":"\xff\x00 kept"'
HEADERS: list[tuple[str, str | bytes | None]] = [("trace", b"\x00\xff"), ("trace", b"again")]
LIMIT = 5
EXIT_SOFTWARE = 70


@pytest.fixture(scope="module")
def site(expendable: System) -> Iterator[Site]:
    found = Site(expendable)
    yield found
    found.operator("dlq", "purge", "--all", "--yes")
    found.close()


def kafka(site: Site) -> KafkaSettings:
    return site.system.kafka.settings()


def send(site: Site, number: int = 1) -> int:
    """Records that nobody can use; the offset of the last."""
    offsets: list[int] = []
    producer = Producer(kafka(site).producer())
    for _ in range(number):
        producer.produce(LOG_TOPIC, VALUE, KEY, headers=HEADERS, on_delivery=lambda _, message: offsets.append(message.offset()))
    assert producer.flush(30) == 0
    return max(offsets)


def letters(site: Site) -> list[DeadLetter]:
    topic = DeadLetterTopic(kafka(site))
    try:
        return [letter for letter in topic.all() if letter.key == KEY]
    finally:
        topic.close()


def test_a_dead_letter_is_the_record_as_it_came_with_where_and_why(site: Site) -> None:
    offset = send(site)
    until(lambda: any(letter.origin_offset == offset for letter in letters(site)), "the dead letter is there")
    (letter,) = (letter for letter in letters(site) if letter.origin_offset == offset)
    assert (letter.key, letter.value, list(letter.headers)) == (KEY, VALUE, HEADERS)
    assert (letter.topic, letter.partition, letter.reason) == (LOG_TOPIC, partition_of(KEY, log_partitions()), "not-an-envelope")
    assert letter.error


def test_a_replay_of_what_is_still_wrong_comes_back_and_a_purge_ends_it(site: Site) -> None:
    offset = send(site)
    until(lambda: any(letter.origin_offset == offset for letter in letters(site)), "the dead letter is there")
    before = len(letters(site))
    (letter,) = (letter for letter in letters(site) if letter.origin_offset == offset)
    assert site.operator.json("dlq", "replay", "--offset", str(letter.offset), "--yes")["sent"] == 1
    until(lambda: len(letters(site)) == before + 1, "it is refused again")
    assert letters(site)[-1].headers == letter.headers, "a replay leaves no trace in the headers"
    assert site.operator("dlq", "purge", "--all", "--yes").exit_code == 0
    assert letters(site) == []


def test_more_dead_letters_than_the_limit_end_the_processor(site: Site, tmp_path: Path) -> None:
    site.stop_processor()
    bounded = ProcessorProcess(site.system.variables(PROCESSOR) | {"BIONICPRO_PROCESSOR__DEAD_LETTERS_PER_MINUTE": str(LIMIT)}, tmp_path)
    try:
        bounded.start()
        send(site, LIMIT + 1)
        assert bounded.exit_code() == EXIT_SOFTWARE
        assert "see `bionicpro dlq list`" in bounded.said()
    finally:
        bounded.stop()
        site.start_processor()
    until(lambda: len(letters(site)) >= LIMIT + 1, "with the usual limit the log goes on")
    site.wait_until_well()

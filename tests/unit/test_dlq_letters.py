"""What a dead letter says, which are meant, and which may go back."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from cli.dlq.dead_letters import DeadLetter, Selection, by_reason, parse, pretty, refusal, summary
from schemas import limits
from stream_processor.adapters.dead_letters import letter_of
from stream_processor.domain.log_records import DeadLetter as Refused

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)


class Record:
    partition, offset, key, value = 3, 77, b"17", b'{"op":"c"}'
    headers = (("trace", b"\xff\x00"), ("trace", b"again"))


def letter(offset: int = 0, topic: str = "prosthesis.log", reason: str = "invalid-row") -> DeadLetter:
    return parse(offset, AT, b"17", b"{}", [("bionicpro-dead-topic", topic.encode()), ("bionicpro-dead-reason", reason.encode())])


def test_what_the_processor_writes_is_read_back_with_the_original_headers_alone() -> None:
    read = parse(5, AT, Record.key, Record.value, letter_of(Refused(Record(), "invalid-row", "amplitude: -1"), "prosthesis.log").headers)
    assert (read.topic, read.partition, read.origin_offset, read.reason, read.error) == (
        "prosthesis.log",
        3,
        77,
        "invalid-row",
        "amplitude: -1",
    )
    assert read.headers == Record.headers
    assert (read.key, read.value) == (Record.key, Record.value)


def test_a_foreign_record_is_shown_but_never_sent_back() -> None:
    foreign = parse(5, AT, None, None, [("bionicpro-dead-offset", b"x"), ("other", None)])
    assert (foreign.topic, foreign.origin_offset, foreign.reason) == ("", -1, "unknown")
    assert refusal(foreign) is not None


@pytest.mark.parametrize(
    ("topic", "goes"), [("prosthesis.log", True), ("crm.changes", False), ("connect-configs", False), ("prosthesis.dead-letters", False)]
)
def test_only_the_log_takes_records_at_a_later_time(topic: str, goes: bool) -> None:
    assert (refusal(letter(topic=topic)) is None) == goes


def test_every_criterion_of_a_selection_must_hold() -> None:
    letters = [letter(0, reason="a"), letter(1, reason="b"), letter(2, reason="a")]

    def chosen(selection: Selection) -> list[int]:
        return [each.offset for each in letters if each in selection]

    assert chosen(Selection()) == [0, 1, 2]
    assert chosen(Selection(reason="a")) == [0, 2]
    assert chosen(Selection(offsets=frozenset({1, 2}))) == [1, 2]
    assert chosen(Selection(offsets=frozenset({1, 2}), reason="a")) == [2]


def test_reasons_are_counted_the_most_first() -> None:
    assert list(by_reason([letter(reason="b"), letter(reason="a"), letter(reason="a")]).items()) == [("a", 2), ("b", 1)]


def test_a_summary_tells_the_values_size_and_not_the_value() -> None:
    told = summary(parse(5, AT, b"17", b'{"name":"Ivan"}', [("h", b"\xff")]))
    assert told["value_bytes"] == 15
    assert told["headers"] == {"h": "\\xff"}
    assert "Ivan" not in str(told)


@pytest.mark.parametrize(("value", "shown"), [(b'{"a":1}', '{\n  "a": 1\n}'), (b"\xff{", "\\xff{"), (None, "(no value: a tombstone)")])
def test_a_value_is_shown_whatever_it_is(value: bytes | None, shown: str) -> None:
    assert pretty(value) == shown


@dataclass
class Large:
    """A record as no connector can write it."""

    partition: int = 3
    offset: int = 77
    key: bytes = b"k" * 100_000
    value: bytes = b"v" * (64 << 20)
    headers: tuple[tuple[str, bytes], ...] = (("h", b"x" * 1_000_000),)


def test_a_record_too_large_for_its_dead_letter_is_cut_and_says_what_it_was_and_where() -> None:
    record = Large()
    letter = letter_of(Refused(record, "invalid-row", "e"), "prosthesis.log")
    size = len(letter.key or b"") + len(letter.value or b"") + sum(len(name) + len(content) for name, content in letter.headers)
    assert size <= limits.DEAD_LETTER
    read = parse(5, AT, letter.key, letter.value, letter.headers)
    assert (read.topic, read.partition, read.origin_offset, read.reason) == ("prosthesis.log", 3, 77, "invalid-row")
    assert (read.truncated, read.whole_bytes) == ("key,headers,value", 64 << 20)
    assert read.whole_sha256 == hashlib.sha256(record.value).hexdigest()
    said = refusal(read)
    assert said is not None
    assert "prosthesis.log/3, offset 77" in said
    assert summary(read)["truncated"] == "key,headers,value"


def test_a_record_as_large_as_the_log_takes_is_kept_whole() -> None:
    record = Large(key=b"1", value=b"v" * limits.LOG_MESSAGE, headers=())
    letter = letter_of(Refused(record, "invalid-row", "e"), "prosthesis.log")
    assert (letter.key, letter.value) == (record.key, record.value)
    assert parse(5, AT, letter.key, letter.value, letter.headers).truncated == ""

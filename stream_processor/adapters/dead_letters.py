"""Records that cannot be used go to the dead-letter topic as they came: key, bytes and headers, with where and why in headers of their own.

One that is too large for its dead letter is cut, and the letter says so, with its whole size and SHA-256: the record itself stays at its place in its topic for as long as that keeps it.
"""

from __future__ import annotations

import hashlib
from collections import deque
from dataclasses import dataclass

from schemas import limits
from stream_processor.domain.log_records import DeadLetter

PREFIX = "bionicpro-dead-"
Headers = list[tuple[str, bytes]]
MOST_VALUE = limits.DEAD_LETTER - limits.LETTER_KEY - limits.LETTER_HEADERS - limits.LETTER_OVERHEAD


class TooManyDeadLetters(RuntimeError):  # noqa: N818 - named for what it is
    """So much is refused that something is wrong with the source or the mapping; emptying the log into another topic would not help."""


@dataclass(frozen=True, slots=True)
class Letter:
    """What is sent to the dead-letter topic; at most ``limits.DEAD_LETTER`` bytes."""

    key: bytes | None
    value: bytes | None
    headers: Headers


def letter_of(dead: DeadLetter, topic: str) -> Letter:
    """The record with its headers and ``bionicpro-dead-{topic,partition,offset,reason,error}``; a replay removes the latter.

    Where something had to be left out also ``bionicpro-dead-truncated`` (which parts), ``…-bytes`` and ``…-sha256`` (of the whole value).
    """
    record = dead.record
    original: Headers = [(name, content or b"") for name, content in getattr(record, "headers", None) or ()]
    own = {
        "topic": topic,
        "partition": str(record.partition),
        "offset": str(record.offset),
        "reason": dead.reason,
        "error": dead.error[:500],
    }
    key, value, headers = record.key, record.value, original
    cut: list[str] = []
    if key is not None and len(key) > limits.LETTER_KEY:
        key, cut = key[: limits.LETTER_KEY], [*cut, "key"]
    if sum(len(name) + len(content) + 8 for name, content in headers) > limits.LETTER_HEADERS:
        headers, cut = [], [*cut, "headers"]
    if value is not None and len(value) > MOST_VALUE:
        value, cut = value[:MOST_VALUE], [*cut, "value"]
    if cut:
        whole = record.value or b""
        own |= {"truncated": ",".join(cut), "bytes": str(len(whole)), "sha256": hashlib.sha256(whole).hexdigest()}
    return Letter(key, value, headers + [(PREFIX + name, content.encode()) for name, content in own.items()])


class DeadLetterLimit:
    """At most *per_minute* dead letters in any minute. The clock is passed in."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._seen: deque[tuple[float, int]] = deque()
        self._total = 0

    def count(self, number: int, now: float) -> None:
        """Raises TooManyDeadLetters beyond the limit."""
        self._seen.append((now, number))
        self._total += number
        while self._seen and self._seen[0][0] < now - 60:
            self._total -= self._seen.popleft()[1]
        if self._total > self._per_minute:
            raise TooManyDeadLetters(
                f"{self._total} records refused within a minute, {self._per_minute} are allowed: see `bionicpro dlq list`"
            )

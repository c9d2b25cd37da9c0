"""Records that cannot be used go to the dead-letter topic as they came: key, bytes and headers, with where and why in headers of their own."""

from __future__ import annotations

from collections import deque

from stream_processor.domain.decode import DeadLetter

PREFIX = "bionicpro-dead-"
Headers = list[tuple[str, bytes]]


class TooManyDeadLetters(RuntimeError):  # noqa: N818 - named for what it is
    """So much is refused that something is wrong with the source or the mapping; emptying the log into another topic would not help."""


def headers_of(dead: DeadLetter, topic: str) -> Headers:
    """The original headers and ``bionicpro-dead-{topic,partition,offset,reason,error}``; a replay removes the latter."""
    record = dead.record
    original: Headers = list(getattr(record, "headers", None) or ())
    own = {
        "topic": topic,
        "partition": str(record.partition),
        "offset": str(record.offset),
        "reason": dead.reason,
        "error": dead.error[:500],
    }
    return original + [(PREFIX + name, value.encode()) for name, value in own.items()]


class DeadLetterLimit:
    """At most *a_minute* dead letters in any minute. The clock is passed in."""

    def __init__(self, a_minute: int) -> None:
        self._a_minute = a_minute
        self._seen: deque[tuple[float, int]] = deque()
        self._total = 0

    def count(self, number: int, now: float) -> None:
        """Raises TooManyDeadLetters beyond the limit."""
        self._seen.append((now, number))
        self._total += number
        while self._seen and self._seen[0][0] < now - 60:
            self._total -= self._seen.popleft()[1]
        if self._total > self._a_minute:
            raise TooManyDeadLetters(
                f"{self._total} records refused within a minute, {self._a_minute} are allowed: see `bionicpro dlq list`"
            )

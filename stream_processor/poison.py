"""The search for the record that makes a batch fail: which part of the batch to try next. Pure; the worker tries."""

from __future__ import annotations

from collections.abc import Generator

TRIES = 2  # of a whole batch, the second without caches, before it is split
POISON_PER_MINUTE = 100  # more than these are no single records: something is wrong with the code, the tables or the mapping


def search(size: int) -> Generator[range, bool, None]:
    """Parts of a batch of *size* records that failed as a whole, in order, to be tried one after the other; send whether each failed.

    A part that failed is halved, down to one record. Whoever tries deals with that one before going on, so that what is behind a part is done.
    """
    waiting = _halves(range(size))
    while waiting:
        part = waiting.pop()
        failed = yield part
        if failed and len(part) > 1:
            waiting.extend(_halves(part))


def _halves(part: range) -> list[range]:
    """The second half and the first, empty ones left out: the next to be tried is the last."""
    middle = len(part) // 2
    return [half for half in (part[middle:], part[:middle]) if half]

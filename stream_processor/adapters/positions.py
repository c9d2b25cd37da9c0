"""Commit positions of partitions whose messages are single records or batches of them: a position only moves over work that was delivered *and* acknowledged, without a hole.

Faust may fetch records and then not deliver them (the flow was stopped, the generation changed), or deliver messages that a rebalance throws away. It relies on seeking back to the
committed offset, which does nothing for a partition that never had one. Here such records stop the position until the partition is sought again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable

SKIPPED = -1


class Positions:
    """For each partition: what was delivered since the last seek, in order, and the next offset to commit. Not thread-safe."""

    def __init__(self) -> None:
        self._delivered: dict[Hashable, deque[int]] = {}
        self._acknowledged: dict[Hashable, set[int]] = {}
        self._next: dict[Hashable, int] = {}

    def restart(self) -> None:
        """Partitions were sought, or are others now: nothing delivered before counts."""
        self._delivered.clear()
        self._acknowledged.clear()
        self._next.clear()

    def deliver(self, partition: Hashable, last_offset: int) -> None:
        """A message ending with *last_offset* was handed over."""
        self._delivered.setdefault(partition, deque()).append(last_offset)

    def skip(self, partitions: Iterable[Hashable]) -> None:
        """Records were fetched and will not be handed over: no position moves past here before the next ``restart``."""
        for partition in partitions:
            self._delivered.setdefault(partition, deque()).append(SKIPPED)

    def acknowledge(self, partition: Hashable, last_offset: int) -> None:
        """The message ending with *last_offset* is done; in any order, again, or of an earlier delivery: no harm."""
        delivered = self._delivered.get(partition)
        if not delivered:
            return
        done = self._acknowledged.setdefault(partition, set())
        done.add(last_offset)
        while delivered and delivered[0] in done:
            first = delivered.popleft()
            done.discard(first)
            self._next[partition] = first + 1

    def next_offset(self, partition: Hashable) -> int | None:
        """The offset to commit; None where nothing is done since the last seek."""
        return self._next.get(partition)

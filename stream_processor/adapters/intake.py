"""Between the agent and the engine: messages wait here, bounded by records, until a batch takes them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any


@dataclass(frozen=True, slots=True)
class Delivery:
    """One Kafka message of the log (a fetch of one partition). *acknowledge* marks it done; *epoch* is the assignment it came under."""

    records: Sequence[Any]
    epoch: int
    acknowledge: Callable[[], Awaitable[Any]]

    @property
    def partition(self) -> int:
        return int(self.records[0].partition)


class Intake:
    """Bounded hand-over within one event loop. ``put`` waits while it is full, which stops the consumer from fetching more."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._waiting: list[Delivery] = []
        self._records = 0
        self._changed = asyncio.Condition()

    async def put(self, delivery: Delivery) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: not self._waiting or self._records + len(delivery.records) <= self._limit)
            self._waiting.append(delivery)
            self._records += len(delivery.records)
            self._changed.notify_all()

    async def take(self, records: int, *, wait: bool = True) -> list[Delivery]:
        """What waits, in order of arrival, up to so many *records*; at least one delivery, unless told not to *wait* for it."""
        async with self._changed:
            if wait:
                await self._changed.wait_for(lambda: bool(self._waiting))
            sizes = accumulate(len(delivery.records) for delivery in self._waiting)
            count = max(1, sum(size <= records for size in sizes))
            taken, self._waiting = self._waiting[:count], self._waiting[count:]
            self._records -= sum(len(delivery.records) for delivery in taken)
            self._changed.notify_all()
            return taken

"""Between the agent and the engine: messages wait here, bounded by records, until a batch takes all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
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

    async def take(self, *, wait: bool = True) -> list[Delivery]:
        """All that waits, in order of arrival; at least one, unless told not to *wait* for it."""
        async with self._changed:
            if wait:
                await self._changed.wait_for(lambda: bool(self._waiting))
            taken, self._waiting, self._records = self._waiting, [], 0
            self._changed.notify_all()
            return taken

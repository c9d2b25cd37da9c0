"""Places of something bounded, shared out among people: nobody can take them all, and whoever finds none is told at once or waits in a short queue."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from pydantic import Field, model_validator

from service_kit.settings import Section

RETRY_AFTER_S = 1
"""What is shared out here is held for a moment: it is worth asking again soon."""


class Share(Section):
    """How many places there are at once (*total*), how many of them one person may hold (*each*), and how many may wait for one: of a person, and in all.

    Without *queued_each* nobody waits: a request that finds no place is refused at once.
    """

    total: int = Field(ge=1)
    each: int = Field(ge=1)
    queued_each: int = Field(default=0, ge=0)
    queued_total: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _consistent(self) -> Share:
        if self.each > self.total:
            raise ValueError("each must not exceed total")
        if self.queued_each > self.queued_total:
            raise ValueError("queued_each must not exceed queued_total")
        return self


class ShareFullError(Exception):
    """No place: the person's own share is used up (*own*), or all places are."""

    def __init__(self, *, own: bool) -> None:
        super().__init__("the person's share is used up" if own else "all places are taken")
        self.own = own


class Shares:
    """The places of one *share* in this process. Use it in one event loop.

    Who waits gets a place in turn by person: a person with many waiting requests delays others by one of them, not by all.
    """

    def __init__(self, share: Share) -> None:
        self._share = share
        self._taken: Counter[str] = Counter()
        self._queues: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @property
    def taken(self) -> int:
        """Places that are held now, by everybody."""
        return self._taken.total()

    @contextmanager
    def place_at_once(self, whose: str) -> Iterator[None]:
        """A place for the time of the context. Raises `ShareFullError` where none is free."""
        self.take_at_once(whose)
        try:
            yield
        finally:
            self.release(whose)

    @asynccontextmanager
    async def place(self, whose: str) -> AsyncIterator[None]:
        """As `place_at_once`, after waiting in the queue if there is one. Raises `ShareFullError` where the queue is full; the caller sets the deadline."""
        await self.take(whose)
        try:
            yield
        finally:
            self.release(whose)

    def take_at_once(self, whose: str) -> None:
        """Take a place, to be given back by `release`. Raises `ShareFullError`."""
        if self._taken[whose] >= self._share.each:
            raise ShareFullError(own=True)
        if self._taken.total() >= self._share.total:
            raise ShareFullError(own=False)
        self._taken[whose] += 1

    async def take(self, whose: str) -> None:
        """As `take_at_once`, after waiting in the queue if there is one."""
        try:
            self.take_at_once(whose)
        except ShareFullError as full:
            place = self._queue(whose, full)
        else:
            return
        try:
            await place
        except asyncio.CancelledError:
            self._leave(whose, place)
            raise

    def _queue(self, whose: str, full: ShareFullError) -> asyncio.Future[None]:
        if len(self._queues.get(whose, ())) >= self._share.queued_each:
            # Where nobody may wait, it is the places that are full; else it is the person's own queue.
            raise ShareFullError(own=full.own or self._share.queued_each > 0)
        if sum(len(queue) for queue in self._queues.values()) >= self._share.queued_total:
            raise ShareFullError(own=False)
        place = asyncio.get_running_loop().create_future()
        self._queues.setdefault(whose, deque()).append(place)
        return place

    def _leave(self, whose: str, place: asyncio.Future[None]) -> None:
        if place.done() and not place.cancelled():
            self.release(whose)  # it was given at the moment in which its waiter gave up
        elif (queue := self._queues.get(whose)) is not None and place in queue:
            queue.remove(place)
            if not queue:
                del self._queues[whose]

    def release(self, whose: str) -> None:
        """Give a place back; whoever is next in the queue has it."""
        self._taken[whose] -= 1
        self._forget_if_idle(whose)
        while self._taken.total() < self._share.total and (following := self._next()) is not None:
            place = self._queues[following].popleft()
            if self._queues[following]:
                self._queues.move_to_end(following)
            else:
                del self._queues[following]
            if not place.done():
                self._taken[following] += 1
                place.set_result(None)

    def _next(self) -> str | None:
        return next((whose for whose in self._queues if self._taken[whose] < self._share.each), None)

    def _forget_if_idle(self, whose: str) -> None:
        if self._taken[whose] <= 0:
            del self._taken[whose]

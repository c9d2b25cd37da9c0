"""Live streams: bounded in number, and closed when their session ends, by whatever cause and on whichever instance."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager

import structlog

from bff.problems import no_place
from bff.redis_client import StoreDownError
from bff.sessions import Clock, Sessions
from service_kit.server_sent_events import frame
from service_kit.shares import ShareFullError, Shares

UNKNOWN_FOR_AT_MOST_S = 15
"""Streams are closed when Redis has not said for this long that their session lives."""

RETRY_AFTER_S = 30
SESSION_ENDED = frame("session-ended", b"{}")
log = structlog.get_logger("bff.streams")


class LiveStreams:
    """Watches the sessions of this process's open streams. `watch` runs for as long as the process does."""

    def __init__(self, sessions: Sessions, places: Shares, *, check_s: float, clock: Clock) -> None:
        self._sessions = sessions
        self._places = places
        self._check_s = check_s
        self._clock = clock
        self._open: Counter[str] = Counter()
        self._ended: dict[str, asyncio.Event] = {}
        self._confirmed_at: dict[str, float] = {}

    @contextmanager
    def opened(self, key: str, whose: str) -> Iterator[asyncio.Event]:
        """Count a stream of session *key* of the person *whose*; the event is set when the session ends. Raises `RefusalError` (429, 503) at the limits."""
        try:
            self._places.take_at_once(whose)
        except ShareFullError as full:
            raise no_place(full, "live views", RETRY_AFTER_S) from None
        self._open[key] += 1
        self._confirmed_at.setdefault(key, self._clock())
        try:
            yield self._ended.setdefault(key, asyncio.Event())
        finally:
            self._closed(key)
            self._places.release(whose)

    def _closed(self, key: str) -> None:
        self._open[key] -= 1
        if self._open[key] <= 0:
            for table in (self._open, self._ended, self._confirmed_at):
                table.pop(key, None)

    def end(self, key: str) -> None:
        """The session *key* has ended: close its streams of this process at once."""
        if key in self._ended:
            self._ended[key].set()

    def end_all(self) -> None:
        for key in list(self._ended):
            self.end(key)

    async def watch(self) -> None:
        """Look at the sessions of the open streams again and again, also at those that other instances have ended."""
        while True:
            await asyncio.sleep(self._check_s)
            await self._look()

    async def _look(self) -> None:
        keys, now = list(self._ended), self._clock()
        if not keys:
            return
        try:
            ends = await self._sessions.ends(keys)
        except StoreDownError:
            ends = [now if now - self._confirmed_at.get(key, now) > UNKNOWN_FOR_AT_MOST_S else float("inf") for key in keys]
            log.warning("sessions of live streams cannot be checked", streams=self._open.total())
        else:
            self._confirmed_at.update((key, now) for key in keys if key in self._ended)
        for key, end in zip(keys, ends, strict=True):
            if end is None or now >= end:
                self.end(key)


async def relay(
    chunks: AsyncIterator[bytes], ended: asyncio.Event, *, until: float, clock: Clock, on_end: Callable[[], Awaitable[bool]]
) -> AsyncGenerator[bytes]:
    """Pass *chunks* on until they end, the session ends (*on_end* says whether it has, or is only not known to live), or the access token that opened the stream expires at *until*.

    The page opens it again with ``Last-Event-ID``, and the BFF with a fresh token: a stream outlives no right to it.
    """
    end = asyncio.create_task(ended.wait())
    chunk: asyncio.Future[bytes] | None = None
    try:
        while True:
            chunk = asyncio.ensure_future(anext(chunks))
            await asyncio.wait({chunk, end}, timeout=max(0.0, until - clock()), return_when=asyncio.FIRST_COMPLETED)
            if end.done():
                if await on_end():
                    yield SESSION_ENDED
                return
            if not chunk.done():
                return
            try:
                yield chunk.result()
            except StopAsyncIteration:
                return
    finally:
        end.cancel()
        if chunk is not None:
            chunk.cancel()

"""Calls to other servers: bounded in number, waited for up to a deadline, and never cancelled.

The pool of httpx (httpcore 1.0.9), by which Keycloak is asked, loses a connection for good when a request that queues for it is cancelled, or
times out, at the moment it is given one: after one outage with more callers than connections, nothing would ever be answered again. So nobody
queues in the pool: clients are made without its limit, callers queue here, and a call that nobody waits for any more is left to end by its own
time-outs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from service_kit.shares import Shares

T = TypeVar("T")


class Calls:
    """Calls under way, those included that nobody waits for any more, as many as there are *places*: give each client time-outs of its own."""

    def __init__(self, places: Shares) -> None:
        self._places = places
        self._under_way: set[asyncio.Task[Any]] = set()

    async def wait(
        self,
        call: Coroutine[Any, Any, T],
        deadline_s: float,
        *,
        whose: str = "",
        unwanted: Callable[[T], Awaitable[None]] | None = None,
    ) -> T:
        """The result of *call*, which takes a place of *whose*. Raises what *call* raises, `TimeoutError` at the deadline, or at half of it where no place came
        free, and `ShareFullError` where no more callers may wait for one.

        A call that has less than half of its time left is not begun: it would be given up before its answer comes, and a server that is behind would work
        for nobody.

        Past the deadline, or when the waiter is cancelled, *call* goes on; a result that comes too late is given to *unwanted*.
        """
        until = asyncio.get_running_loop().time() + deadline_s
        try:
            async with asyncio.timeout_at(until - deadline_s / 2):
                await self._places.take(whose)
        except BaseException:
            call.close()
            raise
        task = self._begin(call, whose)
        try:
            await asyncio.wait({task}, timeout=until - asyncio.get_running_loop().time())
        finally:
            if not task.done():
                self._keep(asyncio.create_task(_outlived(task, unwanted)))
        if not task.done():
            raise TimeoutError
        return task.result()

    def _begin(self, call: Coroutine[Any, Any, T], whose: str) -> asyncio.Task[T]:
        task = asyncio.create_task(call)
        task.add_done_callback(lambda _: self._places.release(whose))
        self._keep(task)
        return task

    def _keep(self, task: asyncio.Task[Any]) -> None:
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def close(self) -> None:
        """Cancel what is under way: for the end of the process, before its clients are closed."""
        tasks = list(self._under_way)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _outlived(task: asyncio.Task[T], unwanted: Callable[[T], Awaitable[None]] | None) -> None:
    await asyncio.wait({task})
    if not task.cancelled() and task.exception() is None and unwanted is not None:
        await unwanted(task.result())

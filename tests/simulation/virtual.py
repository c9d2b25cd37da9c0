"""An event loop in which nothing is left to the operating system: time is a number, and a seed chooses whose step comes next.

Callbacks of one process keep the order that asyncio promises; between processes the seed chooses. Work "in a thread" is a fiber (a greenlet) that gives way wherever
it touches the store, so that another process's effects come in between.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Callable
from contextvars import ContextVar
from random import Random
from typing import Any

from greenlet import GreenletExit, getcurrent, greenlet

STEP_S = 0.0004
THREAD_S = 0.001


class Process:
    """Whose steps belong together: they are run in order, stop together and end together."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True
        self.paused = False
        self.tasks: list[asyncio.Task[Any]] = []
        self.fibers: set[greenlet] = set()
        self.waiting: deque[asyncio.Handle] = deque()

    def kill(self) -> None:
        """As ``kill -9``: no step of it is run any more."""
        self.alive = False
        self.waiting.clear()
        for task in self.tasks:
            task._log_destroy_pending = False  # type: ignore[attr-defined]
        for fiber in list(self.fibers):
            if fiber is not getcurrent():
                fiber.throw(GreenletExit)
        self.fibers.clear()


WORLD = Process("world")
PROCESS: ContextVar[Process] = ContextVar("process", default=WORLD)


class Unanswered(TimeoutError):  # noqa: N818 - named for what it is
    """A broker gave no answer. Whoever waited for it may be killed by then."""


class Ended(BaseException):
    """A process ended itself."""


class Stuck(AssertionError):  # noqa: N818 - named for what it is
    """Nothing can happen any more."""


class VirtualLoop(asyncio.BaseEventLoop):
    """*chance* chooses among the processes that have something to do."""

    def __init__(self, chance: Random) -> None:
        super().__init__()
        self._chance = chance
        self._now = 0.0
        self._busy: list[Process] = []
        self.steps = 0
        self.errors: list[BaseException] = []

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """What a task raised and nobody awaits: a process that ended itself, an answer to one that was killed while it waited, or a defect."""
        error = context.get("exception")
        if error is not None and not isinstance(error, Ended | Unanswered):
            self.errors.append(error)

    def _asyncgen_finalizer_hook(self, agen: Any) -> None:
        """A killed process closes nothing."""

    def _check_closed(self) -> None:
        """What a killed process waited for may be cancelled when it is thrown away, which can be after the end."""

    def time(self) -> float:
        return self._now

    def _process_events(self, event_list: object) -> None:
        """There are none: nothing is real here."""

    def _write_to_self(self) -> None:
        """Nobody has to be woken."""

    def _run_once(self) -> None:
        self._sort_ready()
        self._due()
        process = self._choose()
        while process is None:
            self._advance()
            process = self._choose()
        handle = process.waiting.popleft()
        if not process.waiting:
            self._busy.remove(process)
        if not handle._cancelled:  # type: ignore[attr-defined]
            self.steps += 1
            self._now += self._chance.random() * STEP_S
            handle._run()

    def _sort_ready(self) -> None:
        ready: deque[asyncio.Handle] = self._ready  # type: ignore[attr-defined]
        while ready:
            self._enqueue(ready.popleft())

    def _enqueue(self, handle: asyncio.Handle) -> None:
        process = handle._context.get(PROCESS, WORLD)  # type: ignore[attr-defined]
        if process.alive:
            if not process.waiting:
                self._busy.append(process)
            process.waiting.append(handle)

    def _due(self) -> None:
        timers: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]
        while timers and timers[0].when() <= self._now:
            handle = heapq.heappop(timers)
            handle._scheduled = False  # type: ignore[attr-defined]
            if not handle._cancelled:  # type: ignore[attr-defined]
                self._enqueue(handle)

    def _choose(self) -> Process | None:
        busy = self._busy
        if not busy:
            return None
        process = busy[int(self._chance.random() * len(busy))]
        if process.alive and not process.paused:
            return process
        busy[:] = [process for process in busy if process.alive]
        able = [process for process in busy if not process.paused]
        return able[int(self._chance.random() * len(able))] if able else None

    def _advance(self) -> None:
        timers: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]
        if not timers:
            raise Stuck("nothing can happen any more")
        self._now = max(self._now, timers[0].when())
        self._due()

    def spawn(self, process: Process, make: Callable[[], Any]) -> asyncio.Task[Any]:
        """Run the coroutine that *make* makes as a task of *process*."""
        token = PROCESS.set(process)
        try:
            task = self.create_task(make())
        finally:
            PROCESS.reset(token)
        process.tasks.append(task)
        return task

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        """Run *func* as a fiber of the present process, which begins a little later."""
        future: asyncio.Future[Any] = self.create_future()
        process = PROCESS.get()

        def body() -> None:
            try:
                result = func(*args)
            except GreenletExit:
                return
            except Exception as error:
                if not future.done():
                    future.set_exception(error)
            else:
                if not future.done():
                    future.set_result(result)

        fiber = greenlet(body)
        process.fibers.add(fiber)

        def go_on() -> None:
            delay = fiber.switch()
            if fiber.dead:
                process.fibers.discard(fiber)
            else:
                self.call_later(delay, go_on)

        self.call_later(self._chance.random() * THREAD_S, go_on)
        return future


def give_way(seconds: float) -> None:
    """Let others go on for so long; without effect outside of a fiber."""
    fiber = getcurrent()
    if fiber.parent is not None:
        fiber.parent.switch(seconds)

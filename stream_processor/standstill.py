"""Ends a worker that stood still for longer than its place in the group lasts: a frozen process, a suspended machine.

When it wakes it is a zombie that does not know it yet. Kafka does not fence fetches, so until a heartbeat tells it, it would read on and handle records that its successor has
handled, with what it remembers from before: another content under the same version. (Writes on their way when it froze are another matter: they lie below what the successor writes.)
"""

from __future__ import annotations

import asyncio

import structlog

from stream_processor.ending import EXIT_AGAIN, end

log = structlog.get_logger()

TICK_S = 0.5


class Standstill:
    """Knows by the loop's own clock when the process last ran. *limit_s*: for how long the group is certain to wait, see ``ProcessorSection.standstill_s``."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._last: float | None = None

    async def run(self) -> None:
        """Look until cancelled. Work in threads does not delay it: only what stops the whole process does."""
        while True:
            self.look()
            await asyncio.sleep(TICK_S)

    def look(self) -> None:
        """To be called before anything is handled, too: after a standstill it is not known what comes first. Ends the process, to be started again."""
        now = asyncio.get_running_loop().time()
        if self._last is not None and now - self._last > self._limit_s:
            log.critical(
                "the process stood still for so long that its session may be over: ending, to be started again",
                seconds=round(now - self._last, 1),
            )
            end(EXIT_AGAIN)
        self._last = now

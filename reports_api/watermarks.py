"""The watermarks of the log's partitions, read once for all requests.

They are always taken *before* the rows they describe: a row read later holds at least what an earlier watermark promises, so an answer
never claims to be fresher than it is.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from reports_api.domain import Watermarks


class WatermarkCache:
    """Watermarks at most *max_age_s* old, with one read at a time.

    From half that age on they are used while newer ones are being read, so that in steady use no request waits for them.
    """

    def __init__(self, read: Callable[[], Awaitable[Watermarks]], *, max_age_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._read = read
        self._max_age_s = max_age_s
        self._clock = clock
        self._value: Watermarks = {}
        self._read_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None

    async def get(self) -> Watermarks:
        """The watermarks. Raises the reader's error where none are young enough to be used."""
        age = self._clock() - self._read_at
        if age < self._max_age_s / 2:
            return self._value
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._refresh())
            self._reading.add_done_callback(_retrieve)
        if age >= self._max_age_s:
            await asyncio.shield(self._reading)
        return self._value

    async def _refresh(self) -> None:
        started = self._clock()
        self._value = await self._read()
        self._read_at = started


def _retrieve(task: asyncio.Task[None]) -> None:
    """Mark the error as seen. Whoever waits gets it too; where nobody waits, the next request reads again."""
    if not task.cancelled():
        task.exception()

"""Waiting for what happens elsewhere, with an end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

LOOK_S = 0.02


async def eventually(condition: Callable[[], bool], limit_s: float = 15.0) -> None:
    """Look until *condition* holds; fails after *limit_s* seconds."""
    until = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < until, f"it did not happen within {limit_s} s"
        await asyncio.sleep(LOOK_S)

"""Waiting for what happens elsewhere, with an end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

LOOK_S = 0.02
PATIENCE_S = 300.0
"""How long a test waits for what should come at once. It takes no time where the thing comes; two cores that run all tests beside other work have needed minutes."""


async def eventually(condition: Callable[[], bool], limit_s: float = PATIENCE_S) -> None:
    """Look until *condition* holds; fails after *limit_s* seconds."""
    until = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < until, f"it did not happen within {limit_s} s"
        await asyncio.sleep(LOOK_S)

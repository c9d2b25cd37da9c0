"""A worker that stood still for longer than its session ends before it handles anything."""

from __future__ import annotations

import asyncio
from unittest.mock import patch

import pytest

from stream_processor.ending import EXIT_AGAIN
from stream_processor.settings import ProcessorSection
from stream_processor.standstill import Standstill

LIMIT_S = 10.0


class EndedError(Exception):
    """In the place of the process's end."""


def ended(code: int) -> None:
    raise EndedError(code)


async def seen_after(pause_s: float) -> None:
    """What is seen by a worker whose clock goes on by *pause_s* between two looks."""
    standstill, loop = Standstill(LIMIT_S), asyncio.get_running_loop()
    now = loop.time()
    with patch.object(loop, "time", lambda: now), patch("stream_processor.standstill.end", ended):
        standstill.look()
        now += pause_s
        standstill.look()


@pytest.mark.parametrize("pause_s", [0.0, 0.5, LIMIT_S])
async def test_a_worker_that_the_group_still_waits_for_goes_on(pause_s: float) -> None:
    await seen_after(pause_s)


async def test_a_worker_that_wakes_after_its_session_ends_to_be_started_again() -> None:
    with pytest.raises(EndedError) as end:
        await seen_after(LIMIT_S + 0.1)
    assert end.value.args == (EXIT_AGAIN,)


@pytest.mark.parametrize("session_s", [6.0, 30.0, 300.0])
def test_a_session_may_be_over_a_heartbeat_earlier_than_it_is_long(session_s: float) -> None:
    """The group counts from the last heartbeat, and a process may stop right before the next one (seed 548373969127 of the simulation)."""
    section = ProcessorSection(session_timeout_s=session_s)
    assert section.standstill_s <= session_s - section.heartbeat_s

"""What an answer that is passed on holds, and gives back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, MutableMapping
from contextlib import AsyncExitStack
from typing import Any

import pytest

from bff.deadlines import PassedOn
from bff.settings import BffSettings
from bff.upstream import UpstreamError
from service_kit.shares import Share, Shares

SCOPE = {"type": "http", "path": "/reports/export.pdf", "asgi": {"spec_version": "2.3"}}


async def whole() -> AsyncIterator[bytes]:
    yield b"a"


async def broken() -> AsyncIterator[bytes]:
    yield b"a"
    raise UpstreamError("broke off")


async def endless() -> AsyncIterator[bytes]:
    yield b"a"
    await asyncio.Event().wait()


async def gone() -> MutableMapping[str, Any]:
    return {"type": "http.disconnect"}


async def stays() -> MutableMapping[str, Any]:
    await asyncio.Event().wait()
    raise AssertionError


async def taken(_: MutableMapping[str, Any]) -> None:
    await asyncio.sleep(0)


@pytest.mark.parametrize("receive", [gone, stays])
@pytest.mark.parametrize("body", [whole, broken, endless])
async def test_a_place_is_given_back_however_the_answer_ends(body: Any, receive: Any) -> None:
    """Also where the client has gone before the first byte, so that the body is never begun."""
    places = Shares(Share(total=1, each=1))
    async with AsyncExitStack() as stack:
        stack.enter_context(places.place_at_once("anna"))
        held = stack.pop_all()
    assert places.taken == 1
    await PassedOn(body(), 200, {}, deadline_s=0.2, held=held)(SCOPE, receive, taken)
    assert places.taken == 0


@pytest.mark.parametrize("idle_s", [60.0, 1800.0, 36_000.0])
def test_no_session_outlives_by_its_idle_time_the_password_that_another_may_begin_on(idle_s: float) -> None:
    """Whatever the clocks differ by: a login after a session's end by time finds its password too old."""
    settings = BffSettings(public_url="https://site.example", client_secret="x", session_idle_s=idle_s)
    assert settings.max_authentication_age_s + settings.clock_leeway_s < settings.session_idle_s

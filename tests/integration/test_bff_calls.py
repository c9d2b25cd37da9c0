"""Calls to a server that hangs, with more callers than there are places: nothing stays stuck when it answers again."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from bff.calls import Calls
from bff.oidc import GrantRefusedError, Keycloak, ProviderDownError
from service_kit.settings import KeycloakSettings
from service_kit.shares import Share, Shares

REFUSAL = b'{"error":"invalid_grant"}'
HEAD = b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(REFUSAL)


class Hanging:
    """A server that reads requests and answers them only when *answering* is set."""

    def __init__(self) -> None:
        self.answering = asyncio.Event()
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._requests(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    async def _requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            sizes = [int(line.partition(b":")[2]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")]
            await reader.readexactly(sum(sizes))
            await self.answering.wait()
            writer.write(HEAD + REFUSAL)
            await writer.drain()


@asynccontextmanager
async def hanging_server() -> AsyncIterator[Hanging]:
    hanging = Hanging()
    server = await asyncio.start_server(hanging.serve, "127.0.0.1", 0)
    hanging.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield hanging
    hanging.answering.set()
    server.close()
    await asyncio.sleep(0.05)


async def test_keycloak_is_asked_again_at_once_after_a_hang_with_many_callers() -> None:
    async with hanging_server() as hanging:
        settings = KeycloakSettings(base_url=hanging.url, public_url=hanging.url)
        keycloak = Keycloak(settings, client_id="c", client_secret="s", deadline_s=0.5, refresh_margin_s=30, clock=time.time)

        async def outcome() -> type[Exception]:
            try:
                await keycloak.refresh("a refresh token")
            except (ProviderDownError, GrantRefusedError) as error:
                return type(error)
            raise AssertionError("a refresh cannot succeed here")

        for _ in range(3):
            assert Counter(await asyncio.gather(*(outcome() for _ in range(100)))) == {ProviderDownError: 100}
        hanging.answering.set()

        async def answered() -> None:
            # Again where it took longer than the deadline, which a busy machine may: what is lost for good is never answered.
            while await outcome() is not GrantRefusedError:
                pass

        async with asyncio.timeout(120):
            await asyncio.gather(*(answered() for _ in range(20)))
        await keycloak.close()


def one_place() -> Calls:
    return Calls(Shares(Share(total=1, each=1, queued_each=10, queued_total=10)))


async def test_a_waiter_that_is_cancelled_leaves_the_call_to_end_and_its_place_comes_free() -> None:
    calls, release, unwanted = one_place(), asyncio.Event(), []

    async def call(result: str) -> str:
        await release.wait()
        return result

    async def refuse(result: str) -> None:
        unwanted.append(result)

    waiter = asyncio.create_task(calls.wait(call("first"), 10, unwanted=refuse))
    await asyncio.sleep(0.01)
    waiter.cancel()
    assert (await asyncio.gather(waiter, return_exceptions=True))[0].__class__ is asyncio.CancelledError
    second = asyncio.create_task(calls.wait(call("second"), 10, unwanted=refuse))
    await asyncio.sleep(0.01)
    release.set()
    assert await second == "second"
    assert unwanted == ["first"]


async def test_waiting_for_a_place_counts_towards_the_deadline() -> None:
    calls = one_place()
    started = []

    async def forever() -> None:
        started.append(1)
        await asyncio.Event().wait()

    outcomes = await asyncio.gather(*(calls.wait(forever(), 0.05) for _ in range(3)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [TimeoutError] * 3
    assert started == [1]
    await calls.close()


async def test_a_call_that_would_get_less_than_half_of_its_time_is_not_begun() -> None:
    """What is begun too late is given up before it is answered: a server that is behind would work for nobody and never catch up."""
    calls, release, begun = one_place(), asyncio.Event(), []

    async def call(name: str) -> None:
        begun.append(name)
        await release.wait()

    first = asyncio.create_task(calls.wait(call("first"), 10))
    await asyncio.sleep(0.01)
    with pytest.raises(TimeoutError):
        await calls.wait(call("late"), 0.4)
    release.set()
    await first
    assert begun == ["first"]


async def test_what_a_call_raises_reaches_its_waiter() -> None:
    async def refused() -> None:
        raise httpx.ConnectError("refused")

    calls = one_place()
    for _ in range(3):
        outcome = (await asyncio.gather(calls.wait(refused(), 1), return_exceptions=True))[0]
        assert isinstance(outcome, httpx.ConnectError)

"""How the BFF asks the reports service: what is on the wire, and what becomes of connections and of answers that break off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bff.upstream import Upstream, UpstreamError, body
from service_kit.shares import Share, Shares
from tests.support.waiting import eventually

WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nSet-Cookie: planted=1; Path=/\r\n\r\nhi"
BEGUN = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhi"


class Service:
    """Answers each request with *answer*; *hangs_up* says after which request of a connection it closes it instead, *dies* whether after the answer."""

    def __init__(self) -> None:
        self.answer = WHOLE
        self.hangs_up: int | None = None
        self.dies = False
        self.heads: list[bytes] = []
        self.made = self.open = 0
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.made += 1
        self.open += 1
        try:
            await self._requests(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            self.open -= 1
            writer.close()

    async def _requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = 0
        while True:
            self.heads.append(await reader.readuntil(b"\r\n\r\n"))
            number += 1
            if number == self.hangs_up:
                return
            writer.write(self.answer)
            await writer.drain()
            if self.dies:
                return


@asynccontextmanager
async def asked(*, limit: int = 4) -> AsyncIterator[tuple[Service, Upstream]]:
    service = Service()
    server = await asyncio.start_server(service.serve, "127.0.0.1", 0)
    # By name: a client that keeps cookies keeps none of a bare address.
    service.url = f"http://localhost:{server.sockets[0].getsockname()[1]}"
    upstream = Upstream(service.url, connect_s=2, places=Shares(Share(total=limit, each=limit)))
    try:
        yield service, upstream
    finally:
        await upstream.close()
        server.close()
        await eventually(lambda: service.open == 0)


async def answer(upstream: Upstream, target: str = "/x", headers: dict[str, str] | None = None) -> bytes:
    response = await upstream.get(target, headers or {}, whose="w", head_s=2, silence_s=2)
    return b"".join([chunk async for chunk in body(response)])


async def test_a_request_is_on_the_wire_as_it_was_given_and_nothing_is_added_but_the_host() -> None:
    target = "/users/..%2f%2E%2E/a%20b%7e?from=a+b%2B&cursor=%D0%BF%2f"
    async with asked() as (service, upstream):
        assert await answer(upstream, target, {"authorization": "Bearer t", "accept-encoding": "identity"}) == b"hi"
        host = service.url.removeprefix("http://")
        assert service.heads == [
            f"GET {target} HTTP/1.1\r\nHost: {host}\r\nauthorization: Bearer t\r\naccept-encoding: identity\r\n\r\n".encode()
        ]


async def test_nothing_of_one_answer_is_in_the_next_request_but_its_connection() -> None:
    async with asked() as (service, upstream):
        for _ in range(3):
            await answer(upstream)
        assert service.made == 1
        assert not any(b"planted" in head for head in service.heads)


async def test_a_redirect_is_not_followed() -> None:
    async with asked() as (service, upstream):
        service.answer = b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"
        response = await upstream.get("/x", {}, whose="w", head_s=2, silence_s=2)
        response.close()
        assert response.status == 302
        assert len(service.heads) == 1


async def test_a_connection_that_the_service_has_just_closed_is_not_the_callers_affair() -> None:
    async with asked() as (service, upstream):
        service.hangs_up = 2
        for _ in range(4):
            assert await answer(upstream) == b"hi"


async def test_an_answer_that_is_not_read_to_its_end_closes_its_connection() -> None:
    async with asked() as (service, upstream):
        service.answer = BEGUN
        response = await upstream.get("/x", {}, whose="w", head_s=2, silence_s=20)
        assert service.open == 1
        response.close()
        await eventually(lambda: service.open == 0)
        reader = asyncio.create_task(answer(upstream))
        await eventually(lambda: service.open == 1)
        reader.cancel()
        await eventually(lambda: service.open == 0)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n"


@pytest.mark.parametrize("begun", [BEGUN, CHUNKED], ids=["promised length", "chunks"])
async def test_an_answer_that_breaks_off_or_falls_silent_is_an_error(begun: bytes) -> None:
    async with asked() as (service, upstream):
        service.answer = begun
        with pytest.raises(UpstreamError, match="SocketTimeoutError"):
            await read_for(upstream, silence_s=0.2)
        service.dies = True
        with pytest.raises(UpstreamError, match="ClientPayloadError"):
            await read_for(upstream, silence_s=5)


async def read_for(upstream: Upstream, *, silence_s: float) -> None:
    response = await upstream.get("/x", {}, whose="w", head_s=2, silence_s=silence_s)
    async for _ in body(response):
        pass


async def test_open_streams_take_no_answers_place() -> None:
    async with asked(limit=2) as (service, upstream):
        service.answer = BEGUN
        streams = [await upstream.get("/x", {}, whose="w", head_s=2, silence_s=20) for _ in range(5)]
        service.answer = WHOLE
        assert await answer(upstream) == b"hi"
        for stream in streams:
            stream.close()

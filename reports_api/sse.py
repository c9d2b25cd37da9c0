"""The answer that carries server-sent events until the token's end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service_kit.server_sent_events import MEDIA_TYPE, frame, retry

RETRY = retry(2000)
LAST_SEND_S = 2.0
END_OF_TOKEN = frame("end", b'{"reason":"token-expired"}')
END_OF_SERVICE = frame("end", b'{"reason":"service-stopping"}')


class EventStream(Response):
    """Frames from *next_frame* (None: the service stops), a heartbeat where there is none for a while, an end when *lifetime_s* is over.

    A client that does not read blocks only its own ``send``, and that too ends with the token.
    """

    media_type = MEDIA_TYPE

    def __init__(
        self,
        next_frame: Callable[[], Awaitable[bytes | None]],
        heartbeat: Callable[[], Awaitable[bytes]],
        *,
        heartbeat_s: float,
        lifetime_s: float,
    ) -> None:
        super().__init__(headers={"X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._next_frame = next_frame
        self._heartbeat = heartbeat
        self._heartbeat_s = heartbeat_s
        self._lifetime_s = lifetime_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  the signature of ASGI
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        sending = asyncio.create_task(self._send_until_end(send))
        gone = asyncio.create_task(_disconnected(receive))
        try:
            await asyncio.wait((sending, gone), return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            sending.cancel()
            outcomes = await asyncio.gather(sending, gone, return_exceptions=True)
        if isinstance(outcomes[0], Exception) and not isinstance(outcomes[0], OSError):
            raise outcomes[0]

    async def _send_until_end(self, send: Send) -> None:
        try:
            async with asyncio.timeout(self._lifetime_s):
                await self._send_frames(send)
            end = END_OF_SERVICE
        except TimeoutError:
            end = END_OF_TOKEN
        async with asyncio.timeout(LAST_SEND_S):
            await send({"type": "http.response.body", "body": end, "more_body": False})

    async def _send_frames(self, send: Send) -> None:
        await send({"type": "http.response.body", "body": RETRY, "more_body": True})
        while True:
            try:
                async with asyncio.timeout(self._heartbeat_s):
                    body = await self._next_frame()
            except TimeoutError:
                body = await self._heartbeat()
            if body is None:
                return
            await send({"type": "http.response.body", "body": body, "more_body": True})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue

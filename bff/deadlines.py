"""No request waits longer than its deadline: one for the head of the answer, one for a body that is passed on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from typing import Any

import structlog
from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from bff.context import bff_of
from bff.upstream import UpstreamError

log = structlog.get_logger("bff.deadlines")


class DeadlineRoute(APIRoute):
    """A route whose handler must return within the request deadline, or its caller is told 503."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def bounded(request: Request) -> Response:
            async with asyncio.timeout(bff_of(request).settings.request_deadline_s):
                return await handler(request)

        return bounded


class PassedOn(StreamingResponse):
    """A body from the reports service, broken off at *deadline_s* or when the service breaks off: half an answer must not look like a whole one.

    *held* is given back at the end, also where the client has gone before the first byte and *body* is never begun.
    """

    def __init__(
        self, body: AsyncIterator[bytes], status: int, headers: Mapping[str, str], *, deadline_s: float, held: AsyncExitStack
    ) -> None:
        super().__init__(body, status, headers)
        self._deadline_s = deadline_s
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with self._held, asyncio.timeout(self._deadline_s):
                await super().__call__(scope, receive, send)
        except (TimeoutError, UpstreamError) as error:
            # Returning without the last chunk makes the server close the connection, which tells the browser.
            log.warning("answer broken off", path=scope["path"][:200], error=str(error) or type(error).__name__)

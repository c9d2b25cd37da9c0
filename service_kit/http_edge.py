"""The outermost layer of our HTTP services: no answer leaves without the security headers, a request id and, where it is an error, problem details."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Mapping

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service_kit.logging import fault

log = structlog.get_logger(__name__)
RawHeaders = Iterable[tuple[bytes, bytes]]


class Edge:
    """ASGI middleware. It works on ASGI's messages, so streams pass through it as they are. A subclass decides what is refused and what is recorded."""

    def __init__(self, app: ASGIApp, *, headers: Mapping[str, str]) -> None:
        self._app = app
        self._headers = tuple((name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items())

    def refused(self, scope: Scope, request_id: str) -> ASGIApp | None:
        """The answer to a request that the application shall not see. None lets the request in."""
        raise NotImplementedError

    def failed(self, scope: Scope, request_id: str) -> ASGIApp:
        """The answer (500) to a request for which the application raised an exception that nobody handles."""
        raise NotImplementedError

    def record(self, scope: Scope, status: int, seconds: float, request_id: str) -> None:
        """Write down a request that has been answered; *status* is 0 where there was no answer."""
        raise NotImplementedError

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = request_id
        started, status = time.monotonic(), 0

        async def sealed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = completed(message["headers"], self._headers, request_id)
            await send(message)

        try:
            await self._answer(scope, receive, sealed, request_id)
        except Exception as error:
            log.error("unforeseen failure", request_id=request_id, **fault(error))  # noqa: TRY400  a traceback would quote the request
            if not status:
                await self.failed(scope, request_id)(scope, receive, sealed)
            # Otherwise half of an answer has left: without its end the server closes the connection, which tells the client.
        finally:
            self.record(scope, status, time.monotonic() - started, request_id)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        await (self.refused(scope, request_id) or self._app)(scope, receive, send)


def completed(headers: RawHeaders, ours: RawHeaders, request_id: str) -> list[tuple[bytes, bytes]]:
    """*headers* with *ours* in place of any of these names, and the request's id; nothing is cached unless the application has said how.

    In one pass over ASGI's own form: every answer pays for it, and those to somebody who asks too much most of all.
    """
    always = [*ours, (b"x-request-id", request_id.encode("ascii"))]
    names = {name for name, _ in always}
    kept = [(name, value) for name, value in headers if name.lower() not in names]
    if not any(name.lower() == b"cache-control" for name, _ in (*kept, *always)):
        kept.append((b"cache-control", b"no-store"))
    return kept + always


def is_framed_twice(headers: RawHeaders) -> bool:
    """A body with two lengths, by Content-Length and by Transfer-Encoding: two servers on the way may read two requests out of it (RFC 9112 6.1)."""
    names = {name.lower() for name, _ in headers}
    return {b"content-length", b"transfer-encoding"} <= names


def size(headers: RawHeaders) -> int:
    """How many bytes the names and values of *headers* have together."""
    return sum(len(name) + len(value) for name, value in headers)

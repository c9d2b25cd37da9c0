"""How our HTTP services listen. Heads, connections and waits are bounded. The server writes no access log of its own and believes no header of a proxy.

uvicorn answers some requests before any application is asked, and it waits for ever for a request that does not come. `Connection` closes both gaps.
This module needs the extra of a web service.
"""

from __future__ import annotations

import asyncio
import json
import resource
import secrets
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, cast

import h11
import structlog
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from service_kit import problem_details
from service_kit.addresses import Network, is_in, limited_as, parsed
from service_kit.shares import Share, ShareFullError, Shares

MAX_HEAD_BYTES = 65_536
"""What the HTTP parser buffers of a request's head; the applications answer what is longer than their own limits and shorter than this."""
SHUTDOWN_S = 5
KEEP_ALIVE_S = 30
SPARE_FILES = 256
"""Files that a process opens beside its connections."""
RETRY_AFTER_S = 5
UNREAD_S = 60.0
"""A client that takes nothing of what was sent for this long has gone, or holds its connection for the sake of holding it."""
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Doorway:
    """What may come in. *connections*: in all, and from one address (IPv6: from one /64); *uncounted* addresses, reverse proxies, may have all.

    *request_s*: a request must have come as a whole this long after its connection or after its first byte. *unread_s*: the client must take what was sent. *headers*: of answers that no application gives.
    *of_large_head*: more headers for the answer to a head beyond `MAX_HEAD_BYTES`, of which the beginning is given.
    """

    connections: Share
    request_s: float
    headers: Mapping[str, str]
    uncounted: Sequence[Network] = ()
    unread_s: float = UNREAD_S
    of_large_head: Callable[[bytes], Mapping[str, str]] = field(default=lambda _: {})


class Connection(H11Protocol):
    """A connection that is counted, whose requests have a deadline, and whose errors are problem details."""

    def __init__(self, *args: Any, doorway: Doorway, places: Shares, **options: Any) -> None:
        super().__init__(*args, **options)
        self._doorway = doorway
        self._places = places
        self._place: str | None = None
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        whose = self._counted_as()
        try:
            self._places.take_at_once(whose)
        except ShareFullError as full:
            status, kind = (429, "too-many-connections") if full.own else (503, "unavailable")
            self._refuse(status, kind, "Too many connections are open. Try again in a moment.")
            return
        self._place = whose
        _bound_unread(transport, self._doorway.unread_s)
        self._expect_request()

    def _counted_as(self) -> str:
        peer = self.client[0] if self.client else ""
        # A place of its own for each connection that is not counted by address.
        return secrets.token_hex(8) if is_in(parsed(peer), self._doorway.uncounted) else limited_as(peer)

    def connection_lost(self, exc: Exception | None) -> None:
        self._request_came()
        if self._place is not None:
            self._places.release(self._place)
            self._place = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        # Armed by the first byte, and not moved by those that follow: a request that trickles in is as good as none.
        self._expect_request()
        super().data_received(data)

    def handle_events(self) -> None:
        super().handle_events()
        if self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self._request_came()

    def on_response_complete(self) -> None:
        self._request_came()
        super().on_response_complete()
        if self._has_begun_to_ask():
            self._expect_request()

    def _has_begun_to_ask(self) -> bool:
        """Whether a part of a request has come, and not yet all of it."""
        return self.conn.their_state is h11.SEND_BODY or (self.conn.their_state is h11.IDLE and bool(self.conn.trailing_data[0]))

    def _expect_request(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(self._doorway.request_s, self._request_did_not_come)

    def _request_came(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _request_did_not_come(self) -> None:
        self._deadline = None
        if self._has_begun_to_ask():
            self._refuse(408, "request-timeout", f"The request did not come within {self._doorway.request_s:g} seconds.")
        else:
            self.transport.close()  # it has said nothing, so there is nothing to answer

    def send_400_response(self, msg: str) -> None:
        """uvicorn calls this in the handler of the parser's error."""
        error = sys.exc_info()[1]
        if isinstance(error, h11.RemoteProtocolError) and error.error_status_hint == HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE:
            more = self._doorway.of_large_head(self.conn.trailing_data[0])
            self._refuse(431, "head-too-large", f"The address and the headers exceed {MAX_HEAD_BYTES} bytes.", more)
        else:
            self._refuse(400, "bad-request", msg)

    def _refuse(self, status: int, kind: str, detail: str, more: Mapping[str, str] | None = None) -> None:
        """Answer, if nothing of an answer has left yet, and close."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            request_id = secrets.token_hex(8)
            self.transport.write(refusal(status, kind, detail, request_id, dict(self._doorway.headers) | dict(more or {})))
            log.info("refused before any application", status=status, kind=kind, request_id=request_id)
        if self.cycle is not None:
            self.cycle.disconnected = True  # whatever works on the request finds that nobody waits for it
            self.cycle.message_event.set()
        self.transport.close()


def _bound_unread(transport: asyncio.Transport, seconds: float) -> None:
    """Have the system end the connection when its client takes nothing for *seconds*, also after we have closed it (tcp(7), TCP_USER_TIMEOUT)."""
    connected = transport.get_extra_info("socket")
    if connected is not None and connected.family in (socket.AF_INET, socket.AF_INET6):
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(seconds * 1000))


def refusal(status: int, kind: str, detail: str, request_id: str, headers: Mapping[str, str]) -> bytes:
    """An answer on the wire, after which the connection is closed."""
    body = json.dumps(problem_details.document(status, kind, detail, request_id)).encode()
    retry = {"retry-after": str(RETRY_AFTER_S)} if status in (429, 503) else {}
    own = {
        "content-type": problem_details.MEDIA_TYPE,
        "content-length": str(len(body)),
        "cache-control": "no-store",
        "x-request-id": request_id,
    }
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
    lines += [f"{name}: {value}" for name, value in (dict(headers) | own | retry | {"connection": "close"}).items()]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def bounded(app: ASGIApp, *, host: str, port: int, doorway: Doorway) -> uvicorn.Config:
    """Configuration of a server for *app*. It parses with h11, whose buffer for a head is bounded. The applications log each request themselves, without its query."""
    places = Shares(doorway.connections)

    def connection(*args: Any, **options: Any) -> Connection:
        return Connection(*args, doorway=doorway, places=places, **options)

    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=cast("type[asyncio.Protocol]", connection),
        ws="none",
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=SHUTDOWN_S,
    )


def allow_files(connections: int) -> None:
    """Raise this process's bound on open files so that *connections* fit, as far as the system allows it. Otherwise the system's bound would be the real limit of connections."""
    wanted = connections + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    reachable = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (reachable, hard))
    if reachable < wanted:
        log.warning(
            "fewer files may be open than connections are allowed: raise the limit of open files", open_files=reachable, wanted=wanted
        )

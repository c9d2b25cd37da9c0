"""What surrounds every request: its identifier, the size of its head, its ``Host``, security headers, and one line in the log."""

from __future__ import annotations

import secrets
import time
from http import HTTPStatus
from urllib.parse import quote

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bff.problems import RefusalError, problem
from bff.security_headers import security_headers

MAX_HEAD = 16_384
INTERNAL = ("/auth/backchannel-logout", "/health/")
log = structlog.get_logger("bff.access")


class Envelope:
    """ASGI middleware; pure, so that streams pass through it as they are."""

    def __init__(self, app: ASGIApp, *, public_url: str, public_host: str, secure: bool) -> None:
        self._app = app
        self._public_url = public_url
        self._public_host = public_host
        self._headers = security_headers(secure=secure)

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
                self._complete(MutableHeaders(scope=message), request_id)
            await send(message)

        try:
            refused = self._refused(scope, request_id)
            await (refused or self._app)(scope, receive, sealed)
        finally:
            # The path without its query: a callback's holds the code and the state.
            taken_ms = round((time.monotonic() - started) * 1000)
            log.info("request", method=scope["method"], path=scope["path"][:200], status=status, ms=taken_ms, request_id=request_id)

    def _refused(self, scope: Scope, request_id: str) -> Response | None:
        if sum(len(name) + len(value) for name, value in scope["headers"]) > MAX_HEAD:
            return problem(
                RefusalError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "head-too-large", f"The headers exceed {MAX_HEAD} bytes."),
                request_id,
            )
        headers = Headers(scope=scope)
        if headers.get("host", "").lower() == self._public_host or scope["path"].startswith(INTERNAL):
            return None
        if scope["method"] == "GET" and headers.get("sec-fetch-mode") == "navigate" and not scope["path"].startswith("/auth/"):
            # Cookies belong to the address; somebody who typed another name of this machine is led to the right one.
            return RedirectResponse(self._public_url + quote(scope["path"]), HTTPStatus.TEMPORARY_REDIRECT)
        return problem(
            RefusalError(HTTPStatus.MISDIRECTED_REQUEST, "wrong-host", f"This site is served at {self._public_url}."), request_id
        )

    def _complete(self, headers: MutableHeaders, request_id: str) -> None:
        for name, value in self._headers.items():
            headers[name] = value
        headers.setdefault("cache-control", "no-store")
        headers["x-request-id"] = request_id

"""What every request passes before and after the routes: bounds, request id, security headers, access log, metrics. Plain ASGI."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from reports_api import metrics
from reports_api.problems import ProblemError, response

log = structlog.get_logger(__name__)
access_log = structlog.get_logger("access")

SECURITY_HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


class Gate:
    """Outermost layer of the service. Also answers what no handler foresaw, without a word about it."""

    def __init__(self, app: ASGIApp, *, max_header_bytes: int, max_target_bytes: int) -> None:
        self._app = app
        self._max_header_bytes = max_header_bytes
        self._max_target_bytes = max_target_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = request_id
        started = time.perf_counter()
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*_without_ours(message.get("headers", ())), *SECURITY_HEADERS, (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            await self._answer(scope, receive, send_with_headers)
        except Exception:
            log.exception("unforeseen failure", request_id=request_id)
            if status:
                raise
            failure = ProblemError(500, "internal", "The service failed; the fault has been recorded.")
            await response(failure, request_id)(scope, receive, send_with_headers)
        finally:
            _record(scope, status, time.perf_counter() - started, request_id)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = refuse(scope, self._max_header_bytes, self._max_target_bytes)
        if refusal is None:
            await self._app(scope, receive, send)
        else:
            await response(refusal, scope["state"]["request_id"])(scope, receive, send)


def refuse(scope: Scope, max_header_bytes: int, max_target_bytes: int) -> ProblemError | None:
    """Why a request is not even looked at: too long an address, too many header bytes, a body."""
    if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > max_target_bytes:
        return ProblemError(414, "uri-too-long", f"The address is longer than {max_target_bytes} bytes.")
    headers = scope["headers"]
    if sum(len(name) + len(value) for name, value in headers) > max_header_bytes:
        return ProblemError(431, "headers-too-large", f"The headers are longer than {max_header_bytes} bytes.")
    if any(name == b"transfer-encoding" or (name == b"content-length" and value.strip() != b"0") for name, value in headers):
        return ProblemError(413, "no-body-allowed", "This service takes no request bodies.", headers={"Connection": "close"})
    return None


def _without_ours(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    ours = {name for name, _ in SECURITY_HEADERS}
    return [(name, value) for name, value in headers if name.lower() not in ours]


def _record(scope: Scope, status: int, seconds: float, request_id: str) -> None:
    """One line and one observation a request: the route's pattern, never the address, whose query a client may have put anything into."""
    route = getattr(scope.get("route"), "path", "unmatched")
    metrics.REQUESTS.labels(route=route, status=str(status)).observe(seconds)
    if not route.startswith("/health") and route != "/metrics":
        access_log.info("request", method=scope["method"], route=route, status=status, ms=round(seconds * 1000, 1), request_id=request_id)

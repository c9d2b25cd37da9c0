"""The edge of the reports service. It bounds each request's head, adds the security headers, and writes the access log and the metrics."""

from __future__ import annotations

import structlog
from starlette.types import ASGIApp, Scope

from reports_api import metrics
from reports_api.problems import response
from service_kit import http_edge
from service_kit.problem_details import ProblemError

access_log = structlog.get_logger("access")

SECURITY_HEADERS = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
}
CLOSE = {"Connection": "close"}


class ReportsEdge(http_edge.Edge):
    """The outermost layer. It also answers where an exception reaches it that nobody handles; the answer says nothing about the exception."""

    def __init__(self, app: ASGIApp, *, max_header_bytes: int, max_target_bytes: int) -> None:
        super().__init__(app, headers=SECURITY_HEADERS)
        self._max_header_bytes = max_header_bytes
        self._max_target_bytes = max_target_bytes

    def refused(self, scope: Scope, request_id: str) -> ASGIApp | None:
        refusal = refuse(scope, self._max_header_bytes, self._max_target_bytes)
        return response(refusal, request_id) if refusal is not None else None

    def failed(self, scope: Scope, request_id: str) -> ASGIApp:  # noqa: ARG002  every request is answered alike
        return response(ProblemError(500, "internal", "The service failed; the fault has been recorded."), request_id)

    def record(self, scope: Scope, status: int, seconds: float, request_id: str) -> None:
        """Write one line and one observation for each request. They name the route's pattern and never the address: a client may put anything into its query."""
        route = getattr(scope.get("route"), "path", "unmatched")
        metrics.REQUESTS.labels(route=route, status=str(status)).observe(seconds)
        if not route.startswith("/health") and route != "/metrics":
            access_log.info(
                "request", method=scope["method"], route=route, status=status, ms=round(seconds * 1000, 1), request_id=request_id
            )


def refuse(scope: Scope, max_header_bytes: int, max_target_bytes: int) -> ProblemError | None:
    """Why a request is not even looked at: two lengths, too long an address, too many header bytes, a body."""
    headers = scope["headers"]
    if http_edge.is_framed_twice(headers):
        return ProblemError(400, "bad-framing", "The request's body has two lengths.", headers=CLOSE)
    if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > max_target_bytes:
        return ProblemError(414, "uri-too-long", f"The address is longer than {max_target_bytes} bytes.")
    if http_edge.size(headers) > max_header_bytes:
        return ProblemError(431, "headers-too-large", f"The headers are longer than {max_header_bytes} bytes.")
    if any(name == b"transfer-encoding" or (name == b"content-length" and value.strip() != b"0") for name, value in headers):
        return ProblemError(413, "no-body-allowed", "This service takes no request bodies.", headers=CLOSE)
    return None

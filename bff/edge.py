"""The edge of the BFF. It checks each request's head, its ``Host`` and its cookies, adds the security headers, and writes one line to the log."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import quote

import structlog
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Scope

from bff import cookie_header, pages
from bff.problems import RefusalError, problem
from bff.security_headers import security_headers
from service_kit import http_edge

MAX_HEAD = 16_384
INTERNAL = frozenset({b"/auth/backchannel-logout", b"/health/live", b"/health/ready"})
"""Asked for under other names than the site's: by Keycloak and by whoever watches. Exactly these, as they came."""
CLOSE = {"connection": "close"}
log = structlog.get_logger("bff.access")


class BffEdge(http_edge.Edge):
    """The outermost layer of the BFF."""

    def __init__(self, app: ASGIApp, *, public_url: str, public_host: str, secure: bool, cookie_prefix: str) -> None:
        super().__init__(app, headers=security_headers(secure=secure))
        self._public_url = public_url
        self._public_host = public_host
        self._cookie_prefix = cookie_prefix

    def refused(self, scope: Scope, request_id: str) -> ASGIApp | None:
        refusal = self._malformed(scope) or self._bad_cookies(scope)
        return problem(refusal, request_id) if refusal is not None else self._other_host(scope, request_id)

    def failed(self, scope: Scope, request_id: str) -> ASGIApp:
        refusal = RefusalError(HTTPStatus.INTERNAL_SERVER_ERROR, "failed", "The request failed here. It is in the log.")
        return pages.answer(refusal, Request(scope), request_id)

    def record(self, scope: Scope, status: int, seconds: float, request_id: str) -> None:
        # The path without its query: a callback's holds the code and the state.
        log.info(
            "request", method=scope["method"], path=scope["path"][:200], status=status, ms=round(seconds * 1000), request_id=request_id
        )

    def _malformed(self, scope: Scope) -> RefusalError | None:
        headers = scope["headers"]
        if http_edge.is_framed_twice(headers):
            return RefusalError(HTTPStatus.BAD_REQUEST, "bad-framing", "The request's body has two lengths.", headers=CLOSE)
        if not scope["raw_path"].startswith(b"/"):
            return RefusalError(HTTPStatus.BAD_REQUEST, "bad-target", "The request's target is not a path of this site.")
        if http_edge.size(headers) <= MAX_HEAD:
            return None
        clear = cookie_header.CLEAR_COOKIES if cookie_header.are_too_large(headers, MAX_HEAD) else None
        return RefusalError(
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "head-too-large", f"The headers exceed {MAX_HEAD} bytes.", headers=clear
        )

    def _bad_cookies(self, scope: Scope) -> RefusalError | None:
        try:
            cookie_header.ours(scope["headers"], self._cookie_prefix)
        except cookie_header.AmbiguousCookiesError:
            log.warning("ambiguous cookies", path=scope["path"][:200])
            detail = "Another site has set cookies in this site's name. They have been removed: load the page again."
            return RefusalError(HTTPStatus.BAD_REQUEST, "ambiguous-cookies", detail, headers=cookie_header.CLEAR_COOKIES)
        return None

    def _other_host(self, scope: Scope, request_id: str) -> ASGIApp | None:
        headers = Headers(scope=scope)
        if headers.get("host", "").lower() == self._public_host or scope["raw_path"] in INTERNAL:
            return None
        if scope["method"] == "GET" and headers.get("sec-fetch-mode") == "navigate" and not scope["path"].startswith("/auth/"):
            # Cookies belong to the address; somebody who typed another name of this machine is led to the right one.
            return RedirectResponse(self._public_url + quote(scope["path"]), HTTPStatus.TEMPORARY_REDIRECT)
        return problem(
            RefusalError(HTTPStatus.MISDIRECTED_REQUEST, "wrong-host", f"This site is served at {self._public_url}."), request_id
        )


def way_out_of_large_cookies(beginning: bytes) -> dict[str, str]:
    """Headers for the answer to a head that is too large for the parser. Only its *beginning* has come."""
    return dict(cookie_header.CLEAR_COOKIES) if cookie_header.fill_head(beginning, MAX_HEAD) else {}

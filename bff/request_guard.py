"""What a request must bring before anything else is looked at: the CSRF header, our own origin, no body where none belongs."""

from __future__ import annotations

from http import HTTPStatus

from starlette.requests import Request

from bff.problems import RefusalError

CSRF_HEADER = "X-BionicPRO-CSRF"
BACKGROUND_HEADER = "X-BionicPRO-Background"


def require_api_request(request: Request, public_url: str) -> None:
    """Raise `RefusalError` (403) unless the request comes from our own page.

    A foreign page can neither set the header without a preflight, which we never grant, nor hide its origin.
    """
    if request.headers.get(CSRF_HEADER) != "1":
        raise RefusalError(HTTPStatus.FORBIDDEN, "csrf", f"The header {CSRF_HEADER}: 1 is missing.")
    origin = request.headers.get("origin")
    if origin is not None and origin.lower() != public_url.lower():
        raise RefusalError(HTTPStatus.FORBIDDEN, "csrf", "The request comes from another site.")
    if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        raise RefusalError(HTTPStatus.FORBIDDEN, "csrf", "The request comes from another site.")


def require_no_body(request: Request) -> None:
    """Raise `RefusalError` (400) where a body was sent: nothing that is asked for here is said in one."""
    if request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers:
        raise RefusalError(HTTPStatus.BAD_REQUEST, "unexpected-body", "This request must not have a body.")


def client_address(request: Request, trusted_proxies: tuple[str, ...]) -> str:
    """The client's address, for rate limits and audit. ``X-Forwarded-For`` is believed from a trusted proxy alone, its last entry only."""
    peer = request.client.host if request.client else "unknown"
    if peer not in trusted_proxies:
        return peer
    forwarded = request.headers.get("x-forwarded-for", "").rsplit(",", 1)[-1].strip()
    return forwarded[:64] or peer

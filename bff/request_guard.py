"""What is checked of a request before anything else: it brings the CSRF header, it comes from our own origin, and it has no body where none belongs."""

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
    """Raise `RefusalError` (400) where a body was sent. No request here needs one."""
    if request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers:
        raise RefusalError(HTTPStatus.BAD_REQUEST, "unexpected-body", "This request must not have a body.")


def require_navigation(request: Request) -> None:
    """Raise `RefusalError` (403) unless a person's browser goes there in a window of its own, as far as it says.

    A foreign page can load an address as an image, a frame or ahead of time as often as it likes; nothing may begin, and nothing be counted, for that.
    """
    headers = request.headers
    ahead = "prefetch" in headers.get("sec-purpose", "") or headers.get("purpose") == "prefetch"
    if ahead or headers.get("sec-fetch-mode", "navigate") != "navigate" or headers.get("sec-fetch-dest", "document") != "document":
        raise RefusalError(HTTPStatus.FORBIDDEN, "not-a-navigation", "This address is for a person who goes there, in a window.")


def comes_from_elsewhere(request: Request) -> bool:
    """Whether another site has sent the browser here."""
    return request.headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}

"""What is checked of a request before anything else: it brings the CSRF header, it comes from our own origin, and it has no body where none belongs."""

from __future__ import annotations

import json
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
    """Raise `RefusalError` (400) where a body was sent. Few requests here need one, and they read it by `small_json`."""
    if request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers:
        raise RefusalError(HTTPStatus.BAD_REQUEST, "unexpected-body", "This request must not have a body.")


async def small_json(request: Request, most: int) -> object:
    """The JSON of the request's body. Raises `RefusalError`: 415 for another type, 413 beyond *most* bytes, 400 where it cannot be read."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise RefusalError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "json-expected", "This request must have a body of application/json.")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise RefusalError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body-too-large", f"The body is larger than {most} bytes.")
    try:
        return json.loads(body)
    except ValueError:
        raise RefusalError(HTTPStatus.BAD_REQUEST, "bad-json", "The body cannot be read as JSON.") from None


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

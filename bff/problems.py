"""Refusals: RFC 9457 problem details for programs, a plain page for people (`pages.py`)."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from starlette.responses import JSONResponse

from service_kit.problem_details import MEDIA_TYPE, document
from service_kit.shares import RETRY_AFTER_S as SHARE_FREE_AFTER_S
from service_kit.shares import ShareFullError

RETRY_AFTER_S = 5


class RefusalError(Exception):
    """An answer other than success, with the words that the caller may see."""

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        retry_after_s: int | None = None,
        forget_session: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.detail = detail
        self.forget_session = forget_session
        self.headers = dict(headers or {})
        if retry_after_s is not None:
            self.headers["Retry-After"] = str(retry_after_s)


def login_required(detail: str = "You are not logged in, or your session has ended.") -> RefusalError:
    return RefusalError(HTTPStatus.UNAUTHORIZED, "login-required", detail, forget_session=True)


def unavailable(what: str) -> RefusalError:
    """503: *what* does not answer; it is worth trying again."""
    return RefusalError(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "unavailable",
        f"{what} does not answer just now. Try again in a moment.",
        retry_after_s=RETRY_AFTER_S,
    )


def too_many(what: str, retry_after_s: int) -> RefusalError:
    return RefusalError(HTTPStatus.TOO_MANY_REQUESTS, "too-many-requests", f"Too many {what}. Wait a little.", retry_after_s=retry_after_s)


def no_place(full: ShareFullError, what: str, retry_after_s: int = SHARE_FREE_AFTER_S) -> RefusalError:
    """429 where the person's own share of *what* (plural, shown to the caller) is used up, 503 where nobody has a place left."""
    if full.own:
        return too_many(what, retry_after_s)
    detail = f"Too many {what} are under way just now. Try again in a moment."
    return RefusalError(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", detail, retry_after_s=retry_after_s)


def problem(refusal: RefusalError, instance: str) -> JSONResponse:
    """``application/problem+json``; *instance* is the request's identifier, found in the log too."""
    body = document(refusal.status, refusal.kind, refusal.detail, instance)
    if refusal.status == HTTPStatus.UNAUTHORIZED:
        body["login_url"] = "/auth/login"
    return JSONResponse(body, int(refusal.status), refusal.headers, media_type=MEDIA_TYPE)

"""Refusals: RFC 9457 problem details for programs, a plain page for people (`pages.py`)."""

from __future__ import annotations

from http import HTTPStatus

from starlette.responses import JSONResponse

from service_kit.problem_details import MEDIA_TYPE, ProblemError, of_problem
from service_kit.shares import RETRY_AFTER_S as SHARE_FREE_AFTER_S
from service_kit.shares import ShareFullError

RETRY_AFTER_S = 5


class RefusalError(ProblemError):
    """A request that is not answered as it was asked. *forget_session*: the browser shall forget its session's cookie."""

    forget_session = False


class LoginRequiredError(RefusalError):
    """There is no session, or it has ended."""

    forget_session = True


def login_required(detail: str = "You are not logged in, or your session has ended.") -> RefusalError:
    return LoginRequiredError(HTTPStatus.UNAUTHORIZED, "login-required", detail, members={"login_url": "/auth/login"})


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
    return JSONResponse(of_problem(refusal, instance), int(refusal.status), refusal.headers, media_type=MEDIA_TYPE)

"""Errors as problem details (RFC 9457), for whoever answers: an application, or the server before any application was asked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from http import HTTPStatus

from starlette.exceptions import HTTPException

MEDIA_TYPE = "application/problem+json"


class ProblemError(Exception):
    """Ends a request with a problem detail. *kind* is the last part of the problem's type, *detail* what the caller may read.

    *members* are more members of the body (RFC 9457 3.2).
    """

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        retry_after_s: float | None = None,
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.detail = detail
        self.headers = dict(headers or {})
        self.members = dict(members or {})
        if retry_after_s is not None:
            self.headers["Retry-After"] = str(max(1, math.ceil(retry_after_s)))


def document(status: int, kind: str, detail: str, request_id: str) -> dict[str, object]:
    """The body. *request_id* is found in the log too."""
    return {
        "type": f"urn:bionicpro:problem:{kind}",
        "title": HTTPStatus(status).phrase,
        "status": int(status),
        "detail": detail,
        "instance": f"urn:bionicpro:request:{request_id}",
    }


def of_problem(problem: ProblemError, request_id: str) -> dict[str, object]:
    """The body of *problem*."""
    return document(problem.status, problem.kind, problem.detail, request_id) | problem.members


def kind_of(error: HTTPException) -> tuple[str, str]:
    """Kind and detail of what the framework refuses (no such route, no such method). 404 is for the service to word."""
    phrase = HTTPStatus(error.status_code).phrase
    return phrase.lower().replace(" ", "-"), f"{phrase}."

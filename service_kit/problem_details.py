"""The body of an error (RFC 9457), for whoever answers: an application, or the server before any application was asked."""

from __future__ import annotations

from http import HTTPStatus

MEDIA_TYPE = "application/problem+json"


def document(status: int, kind: str, detail: str, request_id: str) -> dict[str, object]:
    """*kind* is the last part of the problem's type; *request_id* is found in the log too."""
    return {
        "type": f"urn:bionicpro:problem:{kind}",
        "title": HTTPStatus(status).phrase,
        "status": int(status),
        "detail": detail,
        "instance": f"urn:bionicpro:request:{request_id}",
    }

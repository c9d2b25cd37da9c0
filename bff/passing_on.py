"""One question to the reports service in a person's name, and what of its answer is passed on."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from http import HTTPStatus
from typing import NamedTuple

import structlog
from aiohttp import ClientResponse
from fastapi import Request
from starlette.responses import Response

from bff.context import Bff
from bff.deadlines import PassedOn
from bff.problems import RefusalError, no_place, unavailable
from bff.sessions import Session
from bff.upstream import UpstreamError, body
from service_kit.shares import ShareFullError

PASSED_UP = ("accept", "accept-language", "if-none-match", "last-event-id")
PASSED_DOWN = ("content-type", "content-disposition", "content-language", "etag", "last-modified", "retry-after", "bionicpro-as-of")
log = structlog.get_logger("bff.proxy")


class Question(NamedTuple):
    """*target*: path and query, encoded. *said*: headers of our own."""

    target: str
    said: Mapping[str, str]


def _headers_up(request: Request, session: Session, said: Mapping[str, str]) -> dict[str, str]:
    """The headers of the upstream request: *said*, and of the client's only those in `PASSED_UP`."""
    headers = {name: request.headers[name] for name in PASSED_UP if name in request.headers}
    headers["authorization"] = f"Bearer {session.grant.tokens.access}"
    headers["x-request-id"] = request.state.request_id
    headers["accept-encoding"] = "identity"
    return {**headers, **said}


async def ask(bff: Bff, request: Request, session: Session, question: Question, *, silence_s: float) -> ClientResponse:
    """The head of the service's answer, if it is one to pass on; ``close`` it. Raises `RefusalError` in place of any other."""
    try:
        response = await bff.upstream.get(
            question.target,
            _headers_up(request, session, question.said),
            whose=session.identity.subject,
            head_s=bff.settings.request_deadline_s,
            silence_s=silence_s,
        )
    except ShareFullError as full:
        raise no_place(full, "requests at once") from None
    except UpstreamError as error:
        log.warning("reports service does not answer", error=str(error))
        raise unavailable("The reports service") from None
    expired = bff.clock() >= session.grant.access_expires_at
    if (refusal := _upstream_failure(response.status, expired=expired)) is not None:
        response.close()
        raise refusal
    return response


def _upstream_failure(status: int, *, expired: bool) -> RefusalError | None:
    """The refusal in place of an answer that is not passed on: a failure of the service, or an answer that no page should act on. *expired*: the access token has ended meanwhile."""
    if status == HTTPStatus.UNAUTHORIZED and expired:
        # Keycloak could not renew it, and it ran out on the way: the next request asks again.
        return unavailable("The login server")
    if status in {HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT}:
        return unavailable("The reports service")
    if status >= 500 or status == HTTPStatus.UNAUTHORIZED or (300 <= status < 400 and status != HTTPStatus.NOT_MODIFIED):
        # A 401 here is ours to mend (keys, clocks, audience), not the person's: logging in again would not help.
        log.error("reports service failed", status=status)
        return RefusalError(HTTPStatus.BAD_GATEWAY, "upstream-failed", "The reports service could not answer this request.")
    return None


def headers_down(response: ClientResponse) -> dict[str, str]:
    """Those of the service's headers that are passed on."""
    return {name: response.headers[name] for name in PASSED_DOWN if name in response.headers}


async def pass_on(bff: Bff, request: Request, session: Session, question: Question, held: AsyncExitStack | None = None) -> Response:
    """The service's answer, passed on as it comes. *held* is given back with its last byte."""
    async with held or AsyncExitStack() as stack:
        response = await ask(bff, request, session, question, silence_s=bff.settings.request_deadline_s)
        stack.callback(response.close)
        kept = stack.pop_all()
    return PassedOn(body(response), response.status, headers_down(response), deadline_s=bff.settings.export_deadline_s, held=kept)

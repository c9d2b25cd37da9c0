"""``/reports…``: the request of a logged-in person, passed to the reports service with that person's id and access token."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from http import HTTPStatus

import structlog
from aiohttp import ClientResponse
from fastapi import APIRouter, Request
from starlette.responses import Response

from bff.allow_list import IdentityParameterError, Nature, QueryError, Target, own_target, support_target, upstream_query
from bff.context import Bff, TheBff
from bff.deadlines import DeadlineRoute, PassedOn
from bff.problems import RefusalError, no_place, unavailable
from bff.redis_client import StoreDownError
from bff.request_guard import BACKGROUND_HEADER
from bff.session_api import OUR_PAGE, CountedSession
from bff.sessions import Session
from bff.streams import relay
from bff.upstream import UpstreamError, body
from service_kit.shares import ShareFullError

SUPPORT_ROLE = "support"
STREAM_SLACK_S = 30
PASSED_UP = ("accept", "accept-language", "if-none-match", "last-event-id")
PASSED_DOWN = ("content-type", "content-disposition", "content-language", "etag", "last-modified", "retry-after", "bionicpro-as-of")
log = structlog.get_logger("bff.proxy")
router = APIRouter(route_class=DeadlineRoute)


@router.get("/reports", dependencies=[OUR_PAGE])
@router.get("/reports/{rest:path}", dependencies=[OUR_PAGE])
@router.get("/users/{rest:path}", dependencies=[OUR_PAGE])
async def proxy(request: Request, bff: TheBff, found: CountedSession) -> Response:
    """Check the request, then pass it on. The caller gets the head of the answer within the deadline, or 503."""
    session, session_id = found
    target = _target(request, session)
    query = _query(request)
    by_person = target.nature in {Nature.ACTION, Nature.EXPORT} and request.headers.get(BACKGROUND_HEADER) != "1"
    if by_person and bff.sessions.extension_due(session):
        await bff.sessions.extend(session)
    session = await bff.refresher.fresh(session, session_id)
    _audit(bff, session, target)
    if target.nature is Nature.STREAM:
        return await _stream(bff, request, session, target, query)
    return await _answer(bff, request, session, target, query)


def _target(request: Request, session: Session) -> Target:
    raw_path = request.scope["raw_path"].decode("ascii", "replace")
    if (target := own_target(raw_path, session.identity.subject)) is not None:
        return target
    target = support_target(raw_path)
    if target is None or SUPPORT_ROLE not in session.identity.roles:
        raise RefusalError(HTTPStatus.NOT_FOUND, "not-found", "There is nothing at this address.")
    return target


def _query(request: Request) -> str:
    try:
        return upstream_query(request.scope["query_string"].decode("ascii", "replace"))
    except IdentityParameterError as error:
        raise RefusalError(HTTPStatus.FORBIDDEN, "not-yours", f"{error}.".capitalize()) from None
    except QueryError as error:
        raise RefusalError(HTTPStatus.BAD_REQUEST, "bad-query", f"{error}.".capitalize()) from None


def _audit(bff: Bff, session: Session, target: Target) -> None:
    if target.support_for is not None:
        bff.audit.support_access(session, target.support_for, target.path)
    if target.nature is Nature.EXPORT:
        bff.audit.export(session, target.path)


def _headers_up(request: Request, session: Session) -> dict[str, str]:
    """The headers of the upstream request. Of the client's headers only those in `PASSED_UP` are passed on."""
    headers = {name: request.headers[name] for name in PASSED_UP if name in request.headers}
    headers["authorization"] = f"Bearer {session.grant.tokens.access}"
    headers["x-request-id"] = request.state.request_id
    headers["accept-encoding"] = "identity"
    return headers


async def _ask(bff: Bff, request: Request, session: Session, target: Target, query: str, *, silence_s: float) -> ClientResponse:
    """The head of the service's answer, if it is one to pass on."""
    asked = target.path + (f"?{query}" if query else "")
    try:
        response = await bff.upstream.get(
            asked,
            _headers_up(request, session),
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


def _headers_down(response: ClientResponse) -> dict[str, str]:
    return {name: response.headers[name] for name in PASSED_DOWN if name in response.headers}


async def _answer(bff: Bff, request: Request, session: Session, target: Target, query: str) -> Response:
    """Pass on reports or an export. An export holds a place of its share until its last byte."""
    async with AsyncExitStack() as stack:
        if target.nature is Nature.EXPORT:
            _take_export_place(bff, session, stack)
        response = await _ask(bff, request, session, target, query, silence_s=bff.settings.request_deadline_s)
        stack.callback(response.close)
        held = stack.pop_all()
    return PassedOn(body(response), response.status, _headers_down(response), deadline_s=bff.settings.export_deadline_s, held=held)


def _take_export_place(bff: Bff, session: Session, stack: AsyncExitStack) -> None:
    try:
        stack.enter_context(bff.exports.place_at_once(session.identity.subject))
    except ShareFullError as full:
        raise no_place(full, "exports") from None


async def _stream(bff: Bff, request: Request, session: Session, target: Target, query: str) -> Response:
    """Pass on server-sent events for as long as the session and the access token last."""
    async with AsyncExitStack() as stack:
        ended = stack.enter_context(bff.streams.opened(session.key, session.identity.subject))
        response = await _ask(bff, request, session, target, query, silence_s=bff.settings.stream_silence_s)
        stack.callback(response.close)
        held = stack.pop_all()
    events = _events(bff, session, response, ended)
    left_s = session.grant.access_expires_at - bff.clock()
    return PassedOn(events, response.status, _headers_down(response), deadline_s=left_s + STREAM_SLACK_S, held=held)


async def _events(bff: Bff, session: Session, response: ClientResponse, ended: asyncio.Event) -> AsyncIterator[bytes]:
    async def has_ended() -> bool:
        try:
            return await bff.end_if_timed_out(session)
        except StoreDownError:
            return False

    chunks = relay(body(response), ended, until=session.grant.access_expires_at, clock=bff.clock, on_end=has_ended)
    try:
        async for chunk in chunks:
            yield chunk
    except UpstreamError as error:
        # The service went away: the page opens the stream again and is told 503 until it is back.
        log.info("live stream broke off", error=str(error))
    finally:
        await chunks.aclose()

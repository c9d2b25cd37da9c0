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
from bff.passing_on import Question, ask, headers_down, pass_on
from bff.problems import RefusalError, no_place
from bff.redis_client import StoreDownError
from bff.request_guard import BACKGROUND_HEADER
from bff.session_api import OUR_PAGE, CountedSession
from bff.sessions import Session
from bff.streams import relay
from bff.support import SUPPORT_ROLE
from bff.upstream import UpstreamError, body
from service_kit import support_access
from service_kit.shares import ShareFullError

STREAM_SLACK_S = 30
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
    question = Question(target.path + (f"?{query}" if query else ""), await _reason(bff, session, target))
    _audit(bff, session, target)
    if target.nature is Nature.STREAM:
        return await _stream(bff, request, session, question)
    return await _answer(bff, request, session, target.nature, question)


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


async def _reason(bff: Bff, session: Session, target: Target) -> dict[str, str]:
    """The header that says why support looks at somebody's reports; none for one's own. Raises `RefusalError` (403) where no visit goes on."""
    if target.support_for is None:
        return {}
    reason = await bff.visits.reason(session, target.support_for)
    if reason is None:
        raise RefusalError(HTTPStatus.FORBIDDEN, "reason-required", "Say why you open these reports: begin a visit of this wearer.")
    return support_access.reason(reason)


def _audit(bff: Bff, session: Session, target: Target) -> None:
    if target.support_for is not None:
        bff.audit.support_access(session, target.support_for, target.path)
    if target.nature is Nature.EXPORT:
        bff.audit.export(session, target.path)


async def _answer(bff: Bff, request: Request, session: Session, nature: Nature, question: Question) -> Response:
    """Pass on reports or an export. An export holds a place of its share until its last byte."""
    async with AsyncExitStack() as stack:
        if nature is Nature.EXPORT:
            _take_export_place(bff, session, stack)
        return await pass_on(bff, request, session, question, stack.pop_all())


def _take_export_place(bff: Bff, session: Session, stack: AsyncExitStack) -> None:
    try:
        stack.enter_context(bff.exports.place_at_once(session.identity.subject))
    except ShareFullError as full:
        raise no_place(full, "exports") from None


async def _stream(bff: Bff, request: Request, session: Session, question: Question) -> Response:
    """Pass on server-sent events for as long as the session and the access token last."""
    async with AsyncExitStack() as stack:
        ended = stack.enter_context(bff.streams.opened(session.key, session.identity.subject))
        response = await ask(bff, request, session, question, silence_s=bff.settings.stream_silence_s)
        stack.callback(response.close)
        held = stack.pop_all()
    events = _events(bff, session, response, ended)
    left_s = session.grant.access_expires_at - bff.clock()
    return PassedOn(events, response.status, headers_down(response), deadline_s=left_s + STREAM_SLACK_S, held=held)


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

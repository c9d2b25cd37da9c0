"""Who is asking: the session of a request, and ``/auth/session``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict
from starlette.responses import JSONResponse

from bff.context import Bff, TheBff
from bff.deadlines import DeadlineRoute
from bff.problems import login_required
from bff.request_guard import require_api_request, require_no_body
from bff.sealing import SealBrokenError
from bff.sessions import Session

router = APIRouter(route_class=DeadlineRoute)


class SessionAnswer(BaseModel):
    """Who is logged in; nothing but `authenticated` where nobody is. Both ends are instants: the session ends at the earlier one, and staying moves only the idle one."""

    model_config = ConfigDict(frozen=True)

    authenticated: bool
    name: str | None = None
    roles: tuple[str, ...] = ()
    expires_at: datetime | None = None
    idle_expires_at: datetime | None = None


ANSWERS: dict[int | str, dict[str, Any]] = {200: {"model": SessionAnswer}}


async def require_our_page(request: Request, bff: TheBff) -> None:
    """Raise `RefusalError` (403, 400) unless the request comes from our own page, and without a body."""
    require_api_request(request, bff.settings.public_url)
    require_no_body(request)


async def find_session(request: Request, bff: TheBff) -> tuple[Session, str] | None:
    """The live session of the request's cookie and its id. A session whose time is over is ended here, and at Keycloak."""
    session_id = bff.cookies.session_id(request)
    if session_id is None:
        return None
    try:
        session = await bff.sessions.read(session_id)
    except SealBrokenError:
        return None
    return await _live(bff, session, session_id)


OUR_PAGE = Depends(require_our_page)
"""Comes first in a route: nothing else is looked at for a foreign page."""
FoundSession = Annotated[tuple[Session, str] | None, Depends(find_session)]


async def require_session(request: Request, found: FoundSession) -> tuple[Session, str]:
    """As `find_session`; raises `RefusalError` (401) where there is none."""
    return _required(request, found)


async def require_counted_session(request: Request, bff: TheBff) -> tuple[Session, str]:
    """As `require_session`, for a request that counts against its person's rate limit: raises `RefusalError` (429) above it."""
    session_id = bff.cookies.session_id(request)
    if session_id is None:
        raise login_required()
    try:
        session, requests = await bff.sessions.read_counted(session_id, "requests")
    except SealBrokenError:
        raise login_required() from None
    found = _required(request, await _live(bff, session, session_id))
    requests.require_within("requests", bff.settings.requests_per_minute)
    return found


RequiredSession = Annotated[tuple[Session, str], Depends(require_session)]
CountedSession = Annotated[tuple[Session, str], Depends(require_counted_session)]


async def _live(bff: Bff, session: Session | None, session_id: str) -> tuple[Session, str] | None:
    if session is None:
        return None
    if session.ended(bff.clock()):
        await bff.end_if_timed_out(session)
        return None
    return session, session_id


def _required(request: Request, found: tuple[Session, str] | None) -> tuple[Session, str]:
    if found is None:
        raise login_required()
    request.state.subject = found[0].identity.subject
    return found


@router.get("/auth/session", responses=ANSWERS, dependencies=[OUR_PAGE])
async def session(request: Request, bff: TheBff, found: FoundSession) -> JSONResponse:
    """Who is logged in and until when. Asking does not extend the session."""
    if found is None:
        response = _answer(SessionAnswer(authenticated=False))
        if bff.cookies.session_name in bff.cookies.sent(request):
            bff.cookies.clear_session(response)
        return response
    return _answer(_described(found[0]))


@router.post("/auth/session", responses=ANSWERS, dependencies=[OUR_PAGE])
async def stay(bff: TheBff, found: RequiredSession) -> JSONResponse:
    """Extend the session: for a person who says that they are still there."""
    extended = await bff.sessions.extend(found[0])
    if extended is None:
        raise login_required()
    return _answer(_described(extended))


def _described(session: Session) -> SessionAnswer:
    return SessionAnswer(
        authenticated=True,
        name=session.identity.name,
        roles=session.identity.roles,
        expires_at=_second(session.absolute_expires_at),
        idle_expires_at=_second(session.idle_expires_at),
    )


def _second(seconds: float) -> datetime:
    return datetime.fromtimestamp(int(seconds), UTC)


def _answer(said: SessionAnswer) -> JSONResponse:
    return JSONResponse(said.model_dump(mode="json", exclude_unset=True))

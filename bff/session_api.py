"""Who is asking: the session of a request, and ``/auth/session``."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse

from bff.context import Bff, bff_of
from bff.deadlines import DeadlineRoute
from bff.problems import login_required
from bff.request_guard import require_api_request, require_no_body
from bff.sealing import SealBrokenError
from bff.sessions import Session

router = APIRouter(route_class=DeadlineRoute)


async def find_session(request: Request) -> tuple[Session, str] | None:
    """The live session of the request's cookie and its id. A session whose time is over is ended here, and at Keycloak."""
    bff = bff_of(request)
    session_id = bff.cookies.session_id(request.cookies)
    if session_id is None:
        return None
    try:
        session = await bff.sessions.read(session_id)
    except SealBrokenError:
        return None
    return await _live(bff, session, session_id)


async def require_session(request: Request) -> tuple[Session, str]:
    """As `find_session`; raises `RefusalError` (401) where there is none."""
    return _required(request, await find_session(request))


async def require_counted_session(request: Request) -> tuple[Session, str]:
    """As `require_session`, for a request that counts against its session's rate limit: raises `RefusalError` (429) above it."""
    bff = bff_of(request)
    session_id = bff.cookies.session_id(request.cookies)
    if session_id is None:
        raise login_required()
    try:
        session, requests = await bff.sessions.read_counted(session_id, "requests")
    except SealBrokenError:
        raise login_required() from None
    found = _required(request, await _live(bff, session, session_id))
    requests.require_within("requests", bff.settings.requests_per_minute)
    return found


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


@router.get("/auth/session")
async def session(request: Request) -> JSONResponse:
    """Who is logged in and until when. Asking does not extend the session."""
    bff = bff_of(request)
    require_api_request(request, bff.settings.public_url)
    require_no_body(request)
    found = await find_session(request)
    if found is None:
        response = JSONResponse({"authenticated": False})
        if bff.cookies.session_name in request.cookies:
            bff.cookies.clear_session(response)
        return response
    return JSONResponse(_described(found[0]))


@router.post("/auth/session")
async def stay(request: Request) -> JSONResponse:
    """Extend the session: for a person who says that they are still there."""
    bff = bff_of(request)
    require_api_request(request, bff.settings.public_url)
    require_no_body(request)
    found, _ = await require_session(request)
    extended = await bff.sessions.extend(found)
    if extended is None:
        raise login_required()
    return JSONResponse(_described(extended))


def _described(session: Session) -> dict[str, object]:
    return {
        "authenticated": True,
        "name": session.identity.name,
        "roles": list(session.identity.roles),
        "expires_at": _iso(session.absolute_expires_at),
        "idle_expires_at": _iso(session.idle_expires_at),
    }


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")

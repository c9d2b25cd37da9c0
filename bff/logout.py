"""``/auth/logout`` and ``/auth/backchannel-logout``."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import parse_qs

import structlog
from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict
from starlette.responses import JSONResponse, Response

from bff.context import Client, CountedAs, TheBff
from bff.deadlines import DeadlineRoute
from bff.id_tokens import InvalidTokenError
from bff.problems import RefusalError, problem
from bff.session_api import OUR_PAGE, FoundSession

MAX_FORM = 32_768
router = APIRouter(route_class=DeadlineRoute)
log = structlog.get_logger("bff.logout")


class LogoutAnswer(BaseModel):
    """`single_sign_on_ended` is false where Keycloak could not be told yet: its session goes on until it is."""

    model_config = ConfigDict(frozen=True)

    logged_out: bool
    single_sign_on_ended: bool


@router.post("/auth/logout", responses={200: {"model": LogoutAnswer}}, dependencies=[OUR_PAGE])
async def logout(bff: TheBff, found: FoundSession) -> JSONResponse:
    """End the session here and at Keycloak. Idempotent: without a session it answers the same."""
    ended = True
    if found is not None:
        ended = await bff.end_session(found[0])
        bff.audit.logged_out(found[0], single_sign_on_ended=ended)
    response = JSONResponse(LogoutAnswer(logged_out=True, single_sign_on_ended=ended).model_dump())
    bff.cookies.clear_session(response)
    return response


@router.post("/auth/backchannel-logout")
async def backchannel_logout(request: Request, bff: TheBff, client: Client, counted_as: CountedAs) -> Response:
    """Keycloak says that a session or a person has logged out elsewhere (OpenID Connect Back-Channel Logout 1.0)."""
    await bff.limits.count("logout tokens", counted_as, bff.settings.logout_tokens_per_minute)
    try:
        notice = await bff.validator.logout_notice(await _logout_token(request))
        ended = await bff.sessions.end_by_logout_token(notice.jti, notice.sid, notice.subject)
        if ended is None:
            raise InvalidTokenError("it was used before")
    except InvalidTokenError as error:
        bff.audit.backchannel_logout_refused(str(error), client)
        return _refused(str(error), request.state.request_id)
    for key in ended:
        bff.streams.end(key)
    bff.audit.backchannel_logout(notice.subject, len(ended))
    return Response(status_code=HTTPStatus.OK)


def _refused(reason: str, request_id: str) -> JSONResponse:
    """Problem details with the two members that OpenID Connect Back-Channel Logout 2.8 knows."""
    detail = f"The logout token is refused: {reason}."
    known = {"error": "invalid_request", "error_description": detail}
    return problem(RefusalError(HTTPStatus.BAD_REQUEST, "logout-token-refused", detail, members=known), request_id)


async def _logout_token(request: Request) -> str:
    """The one ``logout_token`` of the form. Raises `InvalidTokenError`, or `RefusalError` (413) for a body beyond the bound."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM:
            raise RefusalError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body-too-large", f"The body is larger than {MAX_FORM} bytes.")
    try:
        values = parse_qs(body.decode("ascii"), max_num_fields=10).get("logout_token", [])
    except ValueError:
        raise InvalidTokenError("the form cannot be read") from None
    if len(values) != 1:
        raise InvalidTokenError("the form has no logout_token, or several")
    return values[0]

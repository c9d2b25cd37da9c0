"""``/users/search`` and ``/users/{user_id}/visit``: how a support engineer finds a wearer, and says why they look. What they then read passes by ``proxy.py``."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from starlette.responses import JSONResponse, Response

from bff.allow_list import USER_ID
from bff.context import TheBff
from bff.deadlines import DeadlineRoute
from bff.passing_on import Question, pass_on
from bff.problems import RefusalError
from bff.request_guard import require_api_request, small_json
from bff.session_api import OUR_PAGE, CountedSession
from bff.sessions import Session
from service_kit import support_access
from service_kit.support_access import LEAST_REASON_CHARS, LEAST_SEARCH_CHARS, MOST_REASON_CHARS, MOST_SEARCH_CHARS

SUPPORT_ROLE = "support"
MAX_BODY = 4_096
router = APIRouter(route_class=DeadlineRoute)


class SearchRequest(BaseModel):
    """A part of a wearer's name, of a serial number or of a contract's number. Every word has to be found; three characters at least, or two of a Chinese,
    Japanese or Korean name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str = Field(min_length=1, max_length=MOST_SEARCH_CHARS)

    @field_validator("text")
    @classmethod
    def _searchable(cls, text: str) -> str:
        if not support_access.is_search(text):
            raise ValueError(f"{LEAST_SEARCH_CHARS} characters at least, or two of a Chinese, Japanese or Korean name")
        return text.strip()


class VisitRequest(BaseModel):
    """Why the wearer's reports are opened. It is kept with the record of every access."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: str = Field(min_length=1, max_length=MOST_REASON_CHARS)

    @field_validator("reason")
    @classmethod
    def _sayable(cls, reason: str) -> str:
        if not support_access.is_reason(reason):
            raise ValueError(f"one line of {LEAST_REASON_CHARS} to {MOST_REASON_CHARS} characters")
        return reason.strip()


class VisitAnswer(BaseModel):
    """The wearer's reports can be read until then; afterwards a reason is asked for again."""

    model_config = ConfigDict(frozen=True)

    user_id: str
    expires_at: datetime


class VisitEnded(BaseModel):
    """*ended*: there was a visit."""

    model_config = ConfigDict(frozen=True)

    ended: bool


async def require_our_page(request: Request, bff: TheBff) -> None:
    """As `OUR_PAGE`, for a request with a body."""
    require_api_request(request, bff.settings.public_url)


async def require_support(found: CountedSession) -> tuple[Session, str]:
    """A session of somebody of support. Raises `RefusalError`: 401, 404 for everybody else."""
    if SUPPORT_ROLE not in found[0].identity.roles:
        raise RefusalError(HTTPStatus.NOT_FOUND, "not-found", "There is nothing at this address.")
    return found


FOUND: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "As the reports service answers",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Wearers"}}},
    }
}
OUR_PAGE_WITH_BODY = Depends(require_our_page)
Supporter = Annotated[tuple[Session, str], Depends(require_support)]
Form = TypeVar("Form", bound=BaseModel)


def _body(form: type[BaseModel]) -> dict[str, Any]:
    """For the description: the handlers read their bodies themselves, bounded and after the session was looked at."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": form.model_json_schema()}}}}


async def _read(request: Request, form: type[Form]) -> Form:
    try:
        return form.model_validate(await small_json(request, MAX_BODY))
    except ValidationError as error:
        said = "; ".join(f"{'.'.join(map(str, part['loc']))[:40]}: {part['msg'][:100]}" for part in error.errors()[:3])
        raise RefusalError(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-parameter", f"Wrong body: {said}.") from None


@router.post("/users/search", dependencies=[OUR_PAGE_WITH_BODY], responses=FOUND, openapi_extra=_body(SearchRequest))
async def search(request: Request, bff: TheBff, found: Supporter) -> Response:
    """Wearers by a part of a name, a serial number or a contract's number. The text travels in the body: an address would stand in logs."""
    session, session_id = found
    wanted = await _read(request, SearchRequest)
    await bff.limits.count("searches", session.identity.subject, bff.settings.searches_per_minute)
    if bff.sessions.extension_due(session):
        await bff.sessions.extend(session)
    session = await bff.refresher.fresh(session, session_id)
    bff.audit.support_search(session)
    return await pass_on(bff, request, session, Question("/users", support_access.search(wanted.text)))


@router.post(
    "/users/{user_id}/visit", dependencies=[OUR_PAGE_WITH_BODY], responses={200: {"model": VisitAnswer}}, openapi_extra=_body(VisitRequest)
)
async def begin_visit(request: Request, bff: TheBff, found: Supporter, user_id: str) -> JSONResponse:
    """Open a wearer's reports, with a reason, for a while."""
    session = found[0]
    if not USER_ID.fullmatch(user_id):
        raise RefusalError(HTTPStatus.NOT_FOUND, "not-found", "There is nothing at this address.")
    reason = (await _read(request, VisitRequest)).reason
    await bff.visits.begin(session, user_id, reason)
    bff.audit.visit_begun(session, user_id, reason)
    expires_at = datetime.fromtimestamp(int(bff.clock() + bff.visits.duration_s), UTC)
    return JSONResponse(VisitAnswer(user_id=user_id, expires_at=expires_at).model_dump(mode="json"))


@router.delete("/users/{user_id}/visit", dependencies=[OUR_PAGE], responses={200: {"model": VisitEnded}})
async def end_visit(bff: TheBff, found: Supporter, user_id: str) -> JSONResponse:
    """Close the wearer's reports again. Idempotent."""
    ended = bool(USER_ID.fullmatch(user_id)) and await bff.visits.end(found[0], user_id)
    if ended:
        bff.audit.visit_ended(found[0], user_id)
    return JSONResponse(VisitEnded(ended=ended).model_dump())

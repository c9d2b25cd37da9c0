"""The endpoints. Each is there once for the wearer (`OWN_PREFIX`) and once for support (`SUPPORT_PREFIX`); `Granted` says whose reports it answers with."""

from __future__ import annotations

from datetime import date
from typing import Annotated

import msgspec
import structlog
from fastapi import APIRouter, FastAPI, Header, Path, Query
from fastapi.routing import APIRoute
from starlette.responses import Response

from reports_api import domain, etags
from reports_api.access import Grant
from reports_api.dependencies import OWN_PREFIX, SEARCH_PATH, SUPPORT_PREFIX, Granted, RequestId, Searching, TheService
from reports_api.detail_schemas import ErrorTexts, ErrorTimes, Prostheses, TypicalDay, Wearers
from reports_api.live_stream import LiveStream
from reports_api.openapi import answers, file_answers, stream_answers
from reports_api.parameters import (
    Day,
    DocumentParameters,
    ExportParameters,
    FilteredRangeParameters,
    NoParameters,
    PageParameters,
    RangeParameters,
    TextParameters,
)
from reports_api.reports import Reports
from reports_api.schemas import Hours, Page, Summary, Today
from reports_api.support_headers import SearchText, search_text_of

audit = structlog.get_logger("audit")
router = APIRouter()
search = APIRouter(tags=["support"])

IfNoneMatch = Annotated[str | None, Header(max_length=2048, description="The `ETag` of the answer you have")]
LastEventId = Annotated[
    str | None, Header(max_length=4096, description="The id of the last event that was seen: what it held is not sent again")
]
DayPath = Annotated[Day, Path(description="The local day", examples=["2026-11-23"])]
DEFAULT_PAGE_DAYS = 31
DEFAULT_SUMMARY_DAYS = 7
DEFAULT_EXPORT_DAYS = 31
DEFAULT_TYPICAL_DAYS = 28


def install(app: FastAPI) -> None:
    """Add the endpoints to *app*, once a prefix."""
    for prefix, tag in ((OWN_PREFIX, "reports"), (SUPPORT_PREFIX, "support")):
        app.include_router(_below(prefix, tag))
    app.include_router(search)


def _below(prefix: str, tag: str) -> APIRouter:
    """The endpoints with *prefix* in each route's own path: `Granted`, metrics and the access log read it there, and FastAPI's way to include a
    router with a prefix leaves it out. Operations of the OpenAPI document are named after *tag* and endpoint."""
    below = APIRouter(prefix=prefix, tags=[tag])
    for route in router.routes:
        assert isinstance(route, APIRoute)
        below.add_api_route(
            route.path,
            route.endpoint,
            name=route.name,
            operation_id=f"{tag}_{route.name}",
            summary=route.summary,
            responses=route.responses,
            response_class=route.response_class,
        )
    return below


@router.get("", name="list", summary="Daily reports of a range, in pages", responses=answers(Page, not_modified=True))
async def list_reports(
    grant: Granted, service: TheService, query: Annotated[PageParameters, Query()], if_none_match: IfNoneMatch = None
) -> Response:
    days = query.days(domain.possible_dates(service.reports.clock())[1], DEFAULT_PAGE_DAYS)
    prosthesis_id = query.prosthesis_id or ""
    after = query.after()
    async with service.turn(grant.caller.subject) as reports:
        page = await reports.page(grant.user_id, days, prosthesis_id=prosthesis_id, after=after, limit=query.limit)
    scope = f"page {grant.user_id} {days.first} {days.last} {prosthesis_id} {query.cursor} {page.next_cursor}"
    return _json(page, etags.of_reports(scope, page.items), if_none_match)


@router.get("/today", summary="The wearer's local today", responses=answers(Today, not_modified=True))
async def today(grant: Granted, service: TheService, _: Annotated[NoParameters, Query()], if_none_match: IfNoneMatch = None) -> Response:
    async with service.turn(grant.caller.subject) as reports:
        body = await reports.today(grant.user_id)
    tag = etags.of_reports(f"today {grant.user_id} {body.report_date} {body.timezone}", body.items)
    return _json(body, tag, if_none_match)


@router.get("/summary", summary="Totals and averages of a range against the range before it", responses=answers(Summary, not_modified=True))
async def summary(
    grant: Granted, service: TheService, query: Annotated[FilteredRangeParameters, Query()], if_none_match: IfNoneMatch = None
) -> Response:
    prosthesis_id = query.prosthesis_id or ""
    async with service.turn(grant.caller.subject) as reports:
        days = query.days(await _last_day(reports, grant.user_id, query), DEFAULT_SUMMARY_DAYS)
        body, versions = await reports.summary(grant.user_id, days, prosthesis_id)
    return _json(body, etags.of_parts(f"summary {grant.user_id} {days.first} {days.last} {prosthesis_id}", versions), if_none_match)


@router.get("/hours/{day}", summary="The hours of one local day", responses=answers(Hours, not_modified=True))
async def hours(
    grant: Granted, service: TheService, day: DayPath, _: Annotated[NoParameters, Query()], if_none_match: IfNoneMatch = None
) -> Response:
    async with service.turn(grant.caller.subject) as reports:
        body, versions = await reports.hours(grant.user_id, day)
    return _json(body, etags.of_parts(f"hours {grant.user_id} {day}", versions), if_none_match)


@router.get("/typical-day", summary="Active time by hour on a usual day of a range", responses=answers(TypicalDay, not_modified=True))
async def typical_day(
    grant: Granted, service: TheService, query: Annotated[FilteredRangeParameters, Query()], if_none_match: IfNoneMatch = None
) -> Response:
    prosthesis_id = query.prosthesis_id or ""
    async with service.turn(grant.caller.subject) as reports:
        days = query.days(await _last_day(reports, grant.user_id, query), DEFAULT_TYPICAL_DAYS)
        body, parts = await reports.typical_day(grant.user_id, days, prosthesis_id)
    return _json(body, etags.of_parts(f"typical {grant.user_id} {days.first} {days.last} {prosthesis_id}", parts), if_none_match)


@router.get("/errors/{day}", summary="When the errors of one local day occurred", responses=answers(ErrorTimes, not_modified=True))
async def error_times(
    grant: Granted, service: TheService, day: DayPath, _: Annotated[NoParameters, Query()], if_none_match: IfNoneMatch = None
) -> Response:
    async with service.turn(grant.caller.subject) as reports:
        body, parts = await reports.error_times(grant.user_id, day)
    return _json(body, etags.of_parts(f"errors {grant.user_id} {day}", parts), if_none_match)


@router.get("/prostheses", summary="The prostheses that the wearer has and had", responses=answers(Prostheses))
async def prostheses(grant: Granted, service: TheService, _: Annotated[NoParameters, Query()]) -> Response:
    async with service.turn(grant.caller.subject) as reports:
        body = await reports.prostheses(grant.user_id)
    return Response(msgspec.json.encode(body), media_type="application/json")


@router.get("/error-texts", summary="What error codes mean, in words", responses=answers(ErrorTexts, not_modified=True))
async def error_texts(
    grant: Granted, service: TheService, query: Annotated[TextParameters, Query()], if_none_match: IfNoneMatch = None
) -> Response:
    body = msgspec.json.encode(service.texts.of(query.lang))
    tag = etags.of_parts(f"texts {grant.as_support}", [body.decode()])
    if etags.matches(if_none_match, tag):
        return Response(status_code=304, headers={"ETag": tag})
    return Response(body, headers={"ETag": tag}, media_type="application/json")


@router.get("/stream", summary="Today, pushed as it changes", responses=stream_answers(), response_class=Response)
async def stream(grant: Granted, service: TheService, _: Annotated[NoParameters, Query()], last_event_id: LastEventId = None) -> Response:
    lifetime = grant.caller.expires_at - service.reports.clock().timestamp()
    return LiveStream(service.hub, grant, last_event_id, heartbeat_s=service.settings.stream_heartbeat_s, lifetime_s=lifetime)


@router.get("/export.csv", summary="Daily reports as CSV", responses=file_answers("text/csv"), response_class=Response)
async def export_csv(grant: Granted, service: TheService, request_id: RequestId, query: Annotated[ExportParameters, Query()]) -> Response:
    async with service.exporting(grant.caller.subject) as exports:
        days = query.days(await _last_day(service.reports, grant.user_id, query), DEFAULT_EXPORT_DAYS)
        body = await exports.csv(grant.user_id, days, query.prosthesis_id or "", query.decimal)
    return _file(body, "text/csv; charset=utf-8", f"bionicpro-{days.first}-{days.last}.csv", grant, request_id)


@router.get("/export.pdf", summary="One page for a clinician", responses=file_answers("application/pdf"), response_class=Response)
async def export_pdf(grant: Granted, service: TheService, request_id: RequestId, query: Annotated[DocumentParameters, Query()]) -> Response:
    async with service.exporting(grant.caller.subject) as exports:
        days = query.days(await _last_day(service.reports, grant.user_id, query), DEFAULT_EXPORT_DAYS)
        body = await exports.pdf(grant.user_id, days, query.lang)
    return _file(body, "application/pdf", f"bionicpro-{days.first}-{days.last}.pdf", grant, request_id)


@search.get(SEARCH_PATH, summary="Wearers by a part of a name, serial number or contract's number", responses=answers(Wearers))
async def find_wearers(
    caller: Searching, service: TheService, request_id: RequestId, _: Annotated[NoParameters, Query()], text: SearchText = None
) -> Response:
    wanted = search_text_of(text)
    async with service.turn(caller.subject):
        found = await service.search.find(wanted, caller, request_id)
    return Response(msgspec.json.encode(found), media_type="application/json")


async def _last_day(reports: Reports, user_id: str, query: RangeParameters) -> date:
    """The wearer's today where the range is open at its end; otherwise it need not be looked up."""
    return query.to or await reports.local_today(user_id)


def _json(body: Page | Today | Hours | Summary | TypicalDay | ErrorTimes, tag: str, if_none_match: str | None) -> Response:
    """200 with the body, or 304 where the caller has it. ``BionicPRO-As-Of`` tells both how fresh that is."""
    headers = {"ETag": tag} | ({"BionicPRO-As-Of": body.as_of.isoformat()} if body.as_of else {})
    if etags.matches(if_none_match, tag):
        return Response(status_code=304, headers=headers)
    return Response(msgspec.json.encode(body), headers=headers, media_type="application/json")


def _file(body: bytes, media_type: str, name: str, grant: Grant, request_id: str) -> Response:
    audit.info("export", subject=grant.caller.subject, user_id=grant.user_id, file=name, bytes=len(body), request_id=request_id)
    return Response(body, media_type=media_type, headers={"Content-Disposition": f'attachment; filename="{name}"'})

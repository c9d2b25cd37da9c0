"""The endpoints, once for the wearer (``/reports/{user_id}…``) and once for support (``/users/{user_id}…``)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import date
from typing import Annotated, Any

import msgspec
import structlog
from fastapi import APIRouter, Depends, Header, Path, Query, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from reports_api import domain, etags, problems
from reports_api.access import Grant
from reports_api.exports import Exports
from reports_api.openapi import answers, file_answers, stream_answers
from reports_api.parameters import Day, DocumentParameters, ExportParameters, NoParameters, PageParameters, RangeParameters
from reports_api.reports import Reports
from reports_api.schemas import Hours, Page, Summary, Today
from reports_api.settings import ReportsSettings
from reports_api.sse import EventStream
from reports_api.stream import ClosedError, Hub
from service_kit.shares import RETRY_AFTER_S, ShareFullError, Shares

audit = structlog.get_logger("audit")

IfNoneMatch = Annotated[str | None, Header(max_length=2048, description="The `ETag` of the answer you have")]
Authorise = Callable[..., Awaitable[Grant]]
LastEventId = Annotated[
    str | None, Header(max_length=4096, description="The id of the last event that was seen: what it held is not sent again")
]
DEFAULT_PAGE_DAYS = 31
DEFAULT_SUMMARY_DAYS = 7
DEFAULT_EXPORT_DAYS = 31
STREAM_RETRY_AFTER_S = 5


def json_answer(body: Page | Today | Hours | Summary, tag: str, if_none_match: str | None) -> Response:
    """200 with the body, or 304 where the caller has it. ``BionicPRO-As-Of`` tells both how fresh that is."""
    headers = {"ETag": tag} | ({"BionicPRO-As-Of": body.as_of.isoformat()} if body.as_of else {})
    if etags.matches(if_none_match, tag):
        return Response(status_code=304, headers=headers)
    return Response(msgspec.json.encode(body), headers=headers, media_type="application/json")


class Service:
    """What the endpoints use; one a process, in ``app.state.service``."""

    def __init__(self, settings: ReportsSettings, reports: Reports, hub: Hub, exports: Exports, answers: Shares) -> None:
        self.settings = settings
        self.reports = reports
        self.hub = hub
        self._exports = exports
        self._answers = answers

    @asynccontextmanager
    async def turn(self, grant: Grant) -> AsyncIterator[None]:
        """A place of the caller's share for one answer; waited for as long as a query may take. Raises ProblemError (429, 503)."""
        caller = grant.caller.subject
        try:
            async with asyncio.timeout(self.settings.query_deadline_s):
                await self._answers.take(caller)
        except ShareFullError as full:
            raise problems.no_place(full, "too-many-requests", "Too many requests are under way.") from None
        except TimeoutError:
            raise problems.unavailable("Too many requests are under way.", RETRY_AFTER_S) from None
        try:
            yield
        finally:
            self._answers.release(caller)

    @asynccontextmanager
    async def exporting(self, grant: Grant) -> AsyncIterator[Exports]:
        """As `turn`, for an export: its share is one apart. A caller beyond it is refused at once."""
        try:
            async with self._exports.place(grant.caller.subject):
                yield self._exports
        except ShareFullError as full:
            raise problems.no_place(full, "too-many-exports", "Too many exports are being made.") from None


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


DayPath = Annotated[Day, Path(description="The local day", examples=["2026-11-23"])]


def router(prefix: str, authorise: Authorise, tag: str) -> APIRouter:
    """The endpoints below *prefix* for those whom *authorise* lets through."""
    routes = APIRouter(prefix=f"{prefix}/{{user_id}}", tags=[tag])
    granted = Depends(authorise)
    _add_page(routes, granted, tag)
    _add_today(routes, granted, tag)
    _add_summary(routes, granted, tag)
    _add_hours(routes, granted, tag)
    _add_stream(routes, granted, tag)
    _add_exports(routes, granted, tag)
    return routes


def _add_page(routes: APIRouter, granted: Any, tag: str) -> None:
    @routes.get("", operation_id=f"{tag}_list", summary="Daily reports of a range, in pages", responses=answers(Page, not_modified=True))
    async def list_reports(
        request: Request, query: Annotated[PageParameters, Query()], grant: Grant = granted, if_none_match: IfNoneMatch = None
    ) -> Response:
        service = _service(request)
        days = query.days(domain.possible_dates(service.reports.clock())[1], DEFAULT_PAGE_DAYS)
        prosthesis_id = query.prosthesis_id or ""
        after = query.after()
        async with service.turn(grant):
            page = await service.reports.page(grant.user_id, days, prosthesis_id=prosthesis_id, after=after, limit=query.limit)
        scope = f"page {grant.user_id} {days.first} {days.last} {prosthesis_id} {query.cursor} {page.next_cursor}"
        return json_answer(page, etags.of_reports(scope, page.items), if_none_match)


def _add_today(routes: APIRouter, granted: Any, tag: str) -> None:
    @routes.get("/today", operation_id=f"{tag}_today", summary="The wearer's local today", responses=answers(Today, not_modified=True))
    async def today(
        request: Request, _: Annotated[NoParameters, Query()], grant: Grant = granted, if_none_match: IfNoneMatch = None
    ) -> Response:
        service = _service(request)
        async with service.turn(grant):
            body = await service.reports.today(grant.user_id)
        tag = etags.of_reports(f"today {grant.user_id} {body.report_date} {body.timezone}", body.items)
        return json_answer(body, tag, if_none_match)


def _add_summary(routes: APIRouter, granted: Any, tag: str) -> None:
    @routes.get(
        "/summary",
        operation_id=f"{tag}_summary",
        summary="Totals and averages of a range against the range before it",
        responses=answers(Summary, not_modified=True),
    )
    async def summary(
        request: Request, query: Annotated[RangeParameters, Query()], grant: Grant = granted, if_none_match: IfNoneMatch = None
    ) -> Response:
        service = _service(request)
        async with service.turn(grant):
            days = query.days(await _last_day(service.reports, grant.user_id, query), DEFAULT_SUMMARY_DAYS)
            body, versions = await service.reports.summary(grant.user_id, days)
        return json_answer(body, etags.of_parts(f"summary {grant.user_id} {days.first} {days.last}", versions), if_none_match)


def _add_hours(routes: APIRouter, granted: Any, tag: str) -> None:
    @routes.get(
        "/hours/{day}", operation_id=f"{tag}_hours", summary="The hours of one local day", responses=answers(Hours, not_modified=True)
    )
    async def hours(
        request: Request, day: DayPath, _: Annotated[NoParameters, Query()], grant: Grant = granted, if_none_match: IfNoneMatch = None
    ) -> Response:
        service = _service(request)
        async with service.turn(grant):
            body, versions = await service.reports.hours(grant.user_id, day)
        return json_answer(body, etags.of_parts(f"hours {grant.user_id} {day}", versions), if_none_match)


def _add_stream(routes: APIRouter, granted: Any, tag: str) -> None:
    @routes.get(
        "/stream", operation_id=f"{tag}_stream", summary="Today, pushed as it changes", responses=stream_answers(), response_class=Response
    )
    async def stream(
        request: Request, _: Annotated[NoParameters, Query()], grant: Grant = granted, last_event_id: LastEventId = None
    ) -> Response:
        service = _service(request)
        lifetime = grant.caller.expires_at - service.reports.clock().timestamp()
        return LiveStream(service.hub, grant, last_event_id, heartbeat_s=service.settings.stream_heartbeat_s, lifetime_s=lifetime)


def _add_exports(routes: APIRouter, granted: Any, tag: str) -> None:
    @routes.get(
        "/export.csv",
        operation_id=f"{tag}_export_csv",
        summary="Daily reports as CSV",
        responses=file_answers("text/csv"),
        response_class=Response,
    )
    async def export_csv(request: Request, query: Annotated[ExportParameters, Query()], grant: Grant = granted) -> Response:
        service = _service(request)
        async with service.exporting(grant) as exports:
            days = query.days(await _last_day(service.reports, grant.user_id, query), DEFAULT_EXPORT_DAYS)
            body = await exports.csv(grant.user_id, days, query.prosthesis_id or "", query.decimal)
        return _file(request, grant, body, "text/csv; charset=utf-8", f"bionicpro-{days.first}-{days.last}.csv")

    @routes.get(
        "/export.pdf",
        operation_id=f"{tag}_export_pdf",
        summary="One page for a clinician",
        responses=file_answers("application/pdf"),
        response_class=Response,
    )
    async def export_pdf(request: Request, query: Annotated[DocumentParameters, Query()], grant: Grant = granted) -> Response:
        service = _service(request)
        async with service.exporting(grant) as exports:
            days = query.days(await _last_day(service.reports, grant.user_id, query), DEFAULT_EXPORT_DAYS)
            body = await exports.pdf(grant.user_id, days, query.lang)
        return _file(request, grant, body, "application/pdf", f"bionicpro-{days.first}-{days.last}.pdf")


async def _last_day(reports: Reports, user_id: str, query: RangeParameters) -> date:
    """The wearer's today where the range is open at its end; otherwise it need not be looked up."""
    return query.to or await reports.local_today(user_id)


def _file(request: Request, grant: Grant, body: bytes, media_type: str, name: str) -> Response:
    audit.info(
        "export",
        subject=grant.caller.subject,
        user_id=grant.user_id,
        file=name,
        bytes=len(body),
        request_id=request.scope["state"]["request_id"],
    )
    return Response(body, media_type=media_type, headers={"Content-Disposition": f'attachment; filename="{name}"'})


class LiveStream(Response):
    """Listens at the hub for as long as the answer lasts."""

    def __init__(self, hub: Hub, grant: Grant, last_event_id: str | None, *, heartbeat_s: float, lifetime_s: float) -> None:
        super().__init__()
        self._hub = hub
        self._grant = grant
        self._last_event_id = last_event_id
        self._heartbeat_s = heartbeat_s
        self._lifetime_s = lifetime_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        user_id = self._grant.user_id
        try:
            with self._hub.listen(user_id, self._last_event_id, self._grant.caller.subject) as listener:
                events = EventStream(
                    listener.next_frame,
                    lambda: self._hub.heartbeat(user_id),
                    heartbeat_s=self._heartbeat_s,
                    lifetime_s=self._lifetime_s,
                )
                await events(scope, receive, send)
        except ShareFullError as full:
            refusal = problems.no_place(full, "too-many-streams", "Too many live streams are open.", STREAM_RETRY_AFTER_S)
            await problems.response(refusal, scope["state"]["request_id"])(scope, receive, send)
        except ClosedError:
            refusal = problems.unavailable("The service stops just now.", STREAM_RETRY_AFTER_S)
            await problems.response(refusal, scope["state"]["request_id"])(scope, receive, send)

"""What an endpoint is given: whose reports it answers with, the service, and the request's id.

FastAPI resolves these before it looks at any parameter. All are coroutines: it would run a plain function in a thread.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from reports_api.access import AccessControl, Grant, UserIdPath
from reports_api.auth import Caller
from reports_api.readiness import Readiness
from reports_api.service import Service
from service_kit.support_access import REASON_HEADER

OWN_PREFIX = "/reports/{user_id}"
SEARCH_PATH = "/users"
SUPPORT_PREFIX = "/users/{user_id}"


async def _request_id(request: Request) -> str:
    return str(request.scope["state"]["request_id"])


async def _access(request: Request) -> AccessControl:
    access: AccessControl = request.app.state.access
    return access


async def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


async def _readiness(request: Request) -> Readiness:
    readiness: Readiness = request.app.state.readiness
    return readiness


RequestId = Annotated[str, Depends(_request_id)]


async def _granted(
    request: Request, user_id: UserIdPath, request_id: RequestId, access: Annotated[AccessControl, Depends(_access)]
) -> Grant:
    """Whose reports may be read: below `SUPPORT_PREFIX` anybody's, by the support role, and audited; everywhere else the caller's own."""
    caller = await access.authenticate(request.headers.getlist("authorization"), request_id)
    route = request.scope["route"].path
    if route.startswith(SUPPORT_PREFIX):
        return access.support(caller, user_id, request_id, route=route, reasons=request.headers.getlist(REASON_HEADER))
    return access.own(caller, user_id, request_id)


async def _searching(request: Request, request_id: RequestId, access: Annotated[AccessControl, Depends(_access)]) -> Caller:
    return access.searching(await access.authenticate(request.headers.getlist("authorization"), request_id), request_id)


Searching = Annotated[Caller, Depends(_searching)]
"""A support engineer who may search now."""
Granted = Annotated[Grant, Depends(_granted)]
"""Permission to read one user's reports. Every endpoint of reports has this dependency and answers for its user alone."""
TheService = Annotated[Service, Depends(_service)]
TheReadiness = Annotated[Readiness, Depends(_readiness)]

"""``/health/live``: the process answers. ``/health/ready``: it can serve people, because Redis answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from http import HTTPStatus

from fastapi import APIRouter
from starlette.responses import JSONResponse

from bff.context import Bff, TheBff
from bff.deadlines import DeadlineRoute
from bff.oidc import ProviderDownError, ProviderMismatchError
from bff.redis_client import StoreDownError
from bff.upstream import UpstreamError
from service_kit.shares import ShareFullError

LOOK_S = 2.0
WATCHERS = "health"
"""As whom the reports service is asked here: no subject of a person."""
router = APIRouter(route_class=DeadlineRoute)


@router.get("/health/live")
async def live() -> JSONResponse:
    return JSONResponse({"status": "ok"})


@router.get("/health/ready")
async def ready(bff: TheBff) -> JSONResponse:
    """503 without Redis. The answer also says whether Keycloak and the reports service answer. That changes no status: all instances ask the same two servers."""
    store, keycloak, reports = await asyncio.gather(
        _answers(bff.store.ping()), _answers(bff.keycloak.require_available()), _answers(_reports(bff))
    )
    components = {"redis": store, "keycloak": keycloak, "reports_api": reports}
    status = "ok" if all(components.values()) else "degraded" if store else "down"
    body = {"status": status, "components": {name: "ok" if up else "down" for name, up in components.items()}}
    return JSONResponse(body, HTTPStatus.OK if store else HTTPStatus.SERVICE_UNAVAILABLE)


async def _reports(bff: Bff) -> None:
    response = await bff.upstream.get("/health/live", {}, whose=WATCHERS, head_s=LOOK_S, silence_s=LOOK_S)
    response.close()
    if response.status != HTTPStatus.OK:
        raise UpstreamError(str(response.status))


async def _answers(check: Awaitable[object]) -> bool:
    try:
        async with asyncio.timeout(LOOK_S):
            await check
    except (StoreDownError, ProviderDownError, ProviderMismatchError, UpstreamError, ShareFullError, TimeoutError):
        return False
    return True

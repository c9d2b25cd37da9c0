"""Is the process alive, can it answer, and its metrics. Open to whoever reaches the internal port; nothing personal in them."""

from __future__ import annotations

import asyncio

import msgspec
from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import Response

from reports_api.openapi import health_answers
from reports_api.pool import StoreFailedError, StoreUnavailableError
from reports_api.repository import ReportRepository
from reports_api.schemas import Health
from service_kit.key_cache import KeyCache

CHECK_S = 2.0
routes = APIRouter(tags=["health"])


class Readiness:
    """Whether requests can be answered: the mart can be read and the issuer's keys are known."""

    def __init__(self, repository: ReportRepository, keys: KeyCache) -> None:
        self._repository = repository
        self._keys = keys

    async def check(self) -> Health:
        checks = {
            "clickhouse": await self._clickhouse(),
            "keys": "ok" if self._keys.ready else "the identity provider's keys are not known yet",
        }
        return Health("ok" if set(checks.values()) == {"ok"} else "unavailable", checks)

    async def _clickhouse(self) -> str:
        try:
            async with asyncio.timeout(CHECK_S):
                await self._repository.ping()
        except TimeoutError:
            return f"no answer within {CHECK_S} s"
        except (StoreUnavailableError, StoreFailedError) as error:
            return str(error)
        return "ok"


def _answer(health: Health) -> Response:
    return Response(msgspec.json.encode(health), 200 if health.status == "ok" else 503, media_type="application/json")


@routes.get("/health/live", operation_id="health_live", summary="The process answers", responses=health_answers())
async def live() -> Response:
    return _answer(Health("ok", {}))


@routes.get("/health/ready", operation_id="health_ready", summary="The service can answer", responses=health_answers())
async def ready(request: Request) -> Response:
    readiness: Readiness = request.app.state.readiness
    return _answer(await readiness.check())


@routes.get("/metrics", include_in_schema=False)
async def prometheus() -> Response:
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

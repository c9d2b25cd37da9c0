"""Health checks and metrics. Whoever reaches the internal port may read them; they hold nothing personal."""

from __future__ import annotations

import msgspec
from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import Response

from reports_api.dependencies import TheReadiness
from reports_api.openapi import health_answers
from reports_api.schemas import Health

router = APIRouter(tags=["health"])


def _answer(health: Health) -> Response:
    return Response(msgspec.json.encode(health), 200 if health.status == "ok" else 503, media_type="application/json")


@router.get("/health/live", operation_id="health_live", summary="The process answers", responses=health_answers())
async def live() -> Response:
    return _answer(Health("ok", {}))


@router.get("/health/ready", operation_id="health_ready", summary="The service can answer", responses=health_answers())
async def ready(readiness: TheReadiness) -> Response:
    return _answer(await readiness.check())


@router.get("/metrics", include_in_schema=False)
async def prometheus() -> Response:
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

"""Puts the service together; nothing is opened before the application starts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import structlog
from fastapi import FastAPI
from starlette.types import Lifespan

from reports_api import edge, error_texts, health, openapi, problems, routes
from reports_api.access import AccessControl
from reports_api.auth import Expectations, TokenVerifier
from reports_api.error_texts import Catalogue
from reports_api.exports import Exports
from reports_api.jwks import key_cache
from reports_api.pool import ClickHousePool
from reports_api.readiness import Readiness
from reports_api.reports import Clock, Reports
from reports_api.repository import ReportRepository, WearerRepository
from reports_api.service import Service
from reports_api.settings import Settings
from reports_api.stream import Hub
from reports_api.watermarks import WatermarkCache
from reports_api.wearers import WearerSearch
from service_kit.key_cache import KeyCache
from service_kit.shares import Shares
from service_kit.token_buckets import TokenBuckets

log = structlog.get_logger(__name__)
TAGS = [
    {"name": "reports", "description": "A wearer's own reports"},
    {"name": "support", "description": "Any wearer's reports, for the support role; every use is audited"},
    {"name": "health", "description": "Health of the service"},
]


def utc_now() -> datetime:
    return datetime.now(UTC)


def create_app(settings: Settings, clock: Clock = utc_now) -> FastAPI:
    """The application. It starts without ClickHouse and Keycloak, and says at ``/health/ready`` what it waits for."""

    texts = error_texts.read(settings.reports.error_texts)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with running(app, settings, clock, texts):
            yield

    app = routed(lifespan)
    problems.install(app)
    app.add_middleware(
        edge.ReportsEdge, max_header_bytes=settings.reports.max_header_bytes, max_target_bytes=settings.reports.max_target_bytes
    )
    return app


def routed(lifespan: Lifespan[FastAPI] | None = None) -> FastAPI:
    """The routes and their description, which need no settings: enough to make the OpenAPI document."""
    app = FastAPI(
        title="BionicPRO reports service",
        version="1.0.0",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        openapi_tags=TAGS,
        redirect_slashes=False,
    )
    routes.install(app)
    app.include_router(health.router)
    openapi.install(app)
    return app


@asynccontextmanager
async def running(app: FastAPI, settings: Settings, clock: Clock, texts: Catalogue) -> AsyncIterator[None]:
    """The parts of *app* in its state for the time of the context, and the two tasks that run beside the requests."""
    own = settings.reports
    pool = ClickHousePool(settings.clickhouse, size=own.pool_size, max_waiting=own.pool_max_waiting, deadline_s=own.query_deadline_s)
    account = settings.clickhouse.model_copy(update={"user": settings.finder.user, "password": settings.finder.password})
    finders = ClickHousePool(account, size=own.finder_pool_size, max_waiting=own.finder_max_waiting, deadline_s=own.query_deadline_s)
    repository = ReportRepository(pool)
    reports = Reports(repository, WatermarkCache(repository.watermarks, max_age_s=own.watermark_max_age_s), clock)
    hub = Hub(repository, reports, Shares(own.streams), poll_s=own.stream_poll_s)
    exports = Exports(reports, texts, Shares(own.exports), deadline_s=own.export_deadline_s)
    keys = key_cache(settings)
    app.state.access = AccessControl(
        verifier(settings, keys, clock),
        TokenBuckets(rate_per_s=own.rate_per_s, burst=own.rate_burst),
        TokenBuckets(rate_per_s=own.searches_per_s, burst=own.searches_burst),
        own.support_role,
    )
    search = WearerSearch(WearerRepository(finders))
    app.state.service = Service(own, reports, hub, exports, search=search, texts=texts, answers=Shares(own.answers))
    app.state.readiness = Readiness(repository, keys)
    tasks = [asyncio.create_task(keys.prepare()), asyncio.create_task(hub.run())]
    try:
        yield
    finally:
        hub.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await exports.close()
        await finders.close()
        await pool.close()


def verifier(settings: Settings, keys: KeyCache, clock: Clock) -> TokenVerifier:
    own = settings.reports
    expected = Expectations(settings.keycloak.issuer, own.audience, frozenset(own.authorized_parties), own.leeway_s)
    return TokenVerifier(keys, expected, clock)

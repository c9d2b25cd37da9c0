"""The ASGI application: routes, and what each kind of failure says to its caller."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from bff import account, health, login, logout, pages, proxy, session_api, support
from bff.context import Bff, bff_of, build, client_of
from bff.cookies import Cookies
from bff.door import Door
from bff.edge import BffEdge
from bff.oidc import ProviderDownError, ProviderMismatchError
from bff.pages import PROGRAM_PATHS
from bff.problems import RefusalError, unavailable
from bff.redis_client import StoreDownError
from bff.sessions import Clock
from bff.settings import Settings
from service_kit.problem_details import kind_of
from service_kit.settings import EXIT_BAD_SETTINGS

AUDITED = frozenset({"csrf", "not-yours", "not-found", "too-many-requests", "bad-query", "reason-required"})
log = structlog.get_logger("bff")


def create_app(settings: Settings, clock: Clock = time.time) -> FastAPI:
    """The application; its lifespan connects and disconnects. *clock* gives seconds since 1970."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        bff = build(settings, clock)
        app.state.bff = bff
        watch = asyncio.create_task(bff.streams.watch())
        try:
            yield
        finally:
            watch.cancel()
            with suppress(asyncio.CancelledError):
                await watch
            await bff.close()

    app = FastAPI(lifespan=lifespan, openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    routers = (health, session_api, login, logout, account, support, proxy, pages)  # the last takes what is left
    for router in (module.router for module in routers):
        app.include_router(router)
    for kind, handler in _HANDLERS.items():
        app.add_exception_handler(kind, handler)
    own = settings.bff
    app.add_middleware(Door, settings=own)
    app.add_middleware(
        BffEdge, public_url=own.public_url, public_host=own.public_host, secure=own.secure, cookie_prefix=Cookies(own.secure).prefix
    )
    return app


async def check_provider(settings: Settings) -> None:
    """End the process with exit code 78 if Keycloak answers for another issuer; go on if it does not answer yet."""
    bff: Bff = build(settings, time.time)
    try:
        await bff.keycloak.require_available()
    except ProviderDownError as error:
        log.warning("keycloak does not answer yet; logins wait for it", error=str(error))
    except ProviderMismatchError as error:
        print(f"bff: {error}", file=sys.stderr)
        raise SystemExit(EXIT_BAD_SETTINGS) from None
    finally:
        await bff.close()


async def _refusal(request: Request, error: Exception) -> Response:
    if isinstance(error, RefusalError):
        refusal = error
    elif isinstance(error, StoreDownError):
        log.error("redis does not answer", error=str(error))
        refusal = unavailable("The session store")
    elif isinstance(error, ProviderMismatchError):
        log.error("keycloak refuses us", error=str(error))
        refusal = unavailable("The login server")
    elif isinstance(error, ProviderDownError):
        log.warning("keycloak does not answer", error=str(error))
        refusal = unavailable("The login server")
    elif isinstance(error, TimeoutError):
        log.warning("deadline passed", path=request.url.path)
        refusal = unavailable("The service")
    elif isinstance(error, HTTPException):
        refusal = _of_framework(error)
    elif isinstance(error, RequestValidationError):
        refusal = _of_parameters(error)
    else:
        raise error
    return _answer(request, refusal)


def _of_framework(error: HTTPException) -> RefusalError:
    return RefusalError(error.status_code, *kind_of(error), headers=error.headers)


def _of_parameters(error: RequestValidationError) -> RefusalError:
    """Which parameters are wrong, without what stood in them."""
    names = sorted({str(part["loc"][-1])[:40] for part in error.errors()})[:5]
    return RefusalError(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-parameter", f"Wrong parameter: {', '.join(names)}.")


def _answer(request: Request, refusal: RefusalError) -> Response:
    bff = bff_of(request)
    if refusal.kind in AUDITED and request.url.path.startswith(PROGRAM_PATHS):
        subject = getattr(request.state, "subject", None)
        bff.audit.request_refused(
            refusal.kind, method=request.method, path=request.url.path[:200], client=client_of(request), subject=subject
        )
    response = pages.answer(refusal, request, request.state.request_id)
    if refusal.forget_session and bff.cookies.session_name in bff.cookies.sent(request):
        bff.cookies.clear_session(response)
    return response


_HANDLERS = dict.fromkeys(
    (RefusalError, StoreDownError, ProviderDownError, ProviderMismatchError, TimeoutError, HTTPException, RequestValidationError), _refusal
)

"""Real little servers around a BFF under test: the reports service's stand-in that echoes, and gates before Keycloak and Redis that can fail."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from local.ports import any_free
from service_kit.server_sent_events import MEDIA_TYPE, frame
from tests.support.waiting import PATIENCE_S


def free_port() -> int:
    return any_free(1)[0]


class Served:
    """An ASGI application on a loopback port, in a thread with a loop of its own. *config* is how a service of ours listens; a helper of a test needs none."""

    def __init__(self, app: ASGIApp, port: int | None = None, config: uvicorn.Config | None = None) -> None:
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._app = app
        self._config = config or uvicorn.Config(
            app, "127.0.0.1", self.port, log_config=None, access_log=False, timeout_keep_alive=120, http="h11", ws="none"
        )
        self._config.timeout_graceful_shutdown = 1
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> Served:
        self._server = uvicorn.Server(self._config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        until = time.monotonic() + PATIENCE_S
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > until:
                raise RuntimeError(f"the server on port {self.port} did not start")
            time.sleep(0.01)
        return self

    @property
    def stopped(self) -> bool:
        return self._server is None

    def connections(self) -> list[object]:
        """The connections that are open now."""
        return list(self._server.server_state.connections) if self._server is not None else []

    def stop(self) -> None:
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(timeout=PATIENCE_S)
            assert not self._thread.is_alive(), f"the server on port {self.port} did not stop"
        self._server = self._thread = None


class EchoReports:
    """Answers as a reports service would, and remembers what it was asked. Set the attributes to make it slow or fail."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.delay_s = 0.0
        self.status = 200
        self.chunks: list[bytes] | None = None
        self.open_streams = 0
        self.tick_s = 0.1
        app = Starlette(
            routes=[
                Route("/health/live", self._live),
                Route("/reports/{user}/stream", self._stream),
                Route("/{rest:path}", self._echo, methods=["GET", "POST", "PUT", "DELETE", "PATCH"]),
            ]
        )
        self.server = Served(app)

    def reset(self) -> None:
        self.requests.clear()
        self.delay_s, self.status, self.chunks = 0.0, 200, None

    async def _live(self, request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    def _remember(self, request: Request) -> None:
        self.requests.append(
            {
                "method": request.method,
                "path": request.url.path,
                "query": request.url.query,
                "headers": {name: value for name, value in request.headers.items() if name != "authorization"},
                "token": request.headers.get("authorization", "").removeprefix("Bearer "),
            }
        )

    async def _echo(self, request: Request) -> Response:
        self._remember(request)
        await asyncio.sleep(self.delay_s)
        if self.chunks is not None:
            return StreamingResponse(_each(self.chunks), media_type="text/csv")
        # The user of the path, as a report would carry it.
        user = request.url.path.split("/")[2] if request.url.path.count("/") > 1 else ""
        if self.status == 304:
            return Response(status_code=304, headers={"etag": '"v1"'})
        answer = {"user_id": user, "path": request.url.path, "query": request.url.query}
        return JSONResponse(answer, self.status, headers={"etag": '"v1"', "x-internal": "not for browsers", "set-cookie": "planted=1"})

    async def _stream(self, request: Request) -> Response:
        self._remember(request)
        return StreamingResponse(self._ticks(), media_type=MEDIA_TYPE)

    async def _ticks(self) -> AsyncIterator[bytes]:
        self.open_streams += 1
        try:
            for number in range(100_000):
                yield frame("report", b"{}", str(number))
                await asyncio.sleep(self.tick_s)
        finally:
            self.open_streams -= 1


async def _each(chunks: list[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


class KeycloakGate:
    """Stands between the BFF and the real Keycloak: counts token requests, delays them, changes their answers, or is down."""

    def __init__(self, target: str) -> None:
        self._target = target
        self.grants: list[str] = []
        self.id_tokens: list[str] = []
        self.key_fetches = 0
        self.refused = 0
        self.delay_s = 0.0
        self.status: int | None = None
        self.tamper: Callable[[dict[str, Any]], dict[str, Any]] | None = None
        self.instead: dict[str, bytes] = {}
        """The end of a path → the body that is answered there, with 200, in place of Keycloak's."""
        self.server = Served(Starlette(routes=[Route("/{path:path}", self._pass, methods=["GET", "POST"])]))

    def reset(self) -> None:
        self.grants.clear()
        self.id_tokens.clear()
        self.instead.clear()
        self.key_fetches, self.refused, self.delay_s, self.status, self.tamper = 0, 0, 0.0, None, None

    async def _pass(self, request: Request) -> Response:
        body = await request.body()
        if self.status is not None:
            self.refused += 1
            return Response(status_code=self.status)
        is_token = request.url.path.endswith("/token")
        if request.url.path.endswith("/certs"):
            self.key_fetches += 1
        if is_token:
            form = httpx.QueryParams(body.decode())
            self.grants.append(form["grant_type"])
            await asyncio.sleep(self.delay_s)
        async with httpx.AsyncClient(timeout=PATIENCE_S, trust_env=False) as client:
            head = {"content-type": request.headers["content-type"]} if "content-type" in request.headers else {}
            try:
                answer = await client.request(request.method, self._target + request.url.path, content=body or None, headers=head)
            except httpx.TransportError:
                return Response(status_code=502)
        for ending, content in self.instead.items():
            if request.url.path.endswith(ending):
                return Response(content, media_type="application/json")
        if is_token and answer.status_code == 200:
            self.id_tokens.append(answer.json()["id_token"])
            if self.tamper is not None:
                return JSONResponse(self.tamper(answer.json()))
        return Response(answer.content, answer.status_code, media_type=answer.headers.get("content-type"))

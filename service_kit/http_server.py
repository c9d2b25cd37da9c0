"""How our HTTP services listen: bounded heads and connections, no access log of the server's own, no header believed. Needs a web service's extra."""

from __future__ import annotations

import uvicorn
from starlette.types import ASGIApp

MAX_HEAD_BYTES = 65_536
"""What the HTTP parser buffers of a request's head; the applications answer what is longer than their own limits and shorter than this."""
SHUTDOWN_S = 5
KEEP_ALIVE_S = 30


def bounded(app: ASGIApp, *, host: str, port: int, connections: int) -> uvicorn.Config:
    """Configuration of a server for *app*. h11, because its head buffer is bounded; the applications write one line a request themselves, without queries."""
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http="h11",
        ws="none",
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=connections,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=SHUTDOWN_S,
    )

"""``python -m reports_api``: the reports service on its own port."""

from __future__ import annotations

from types import FrameType

import structlog
import uvicorn
from fastapi import FastAPI

from reports_api.app import create_app
from reports_api.settings import Settings
from service_kit import logging as service_logging
from service_kit.settings import load

MAX_HEAD_BYTES = 65_536
"""What the HTTP parser buffers of a request's head; the gate answers what is longer than its own limit and shorter than this."""
SHUTDOWN_S = 5
KEEP_ALIVE_S = 30
CONNECTIONS = 2_000


class Server(uvicorn.Server):
    """Ends live streams as soon as it is told to stop: they would hold up a graceful shutdown."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        app = self.config.app
        if isinstance(app, FastAPI) and hasattr(app.state, "service"):
            app.state.service.hub.close()
        super().handle_exit(sig, frame)


def server(settings: Settings) -> Server:
    """The configured server. h11, because its head buffer is bounded; the access log is the gate's own, without addresses."""
    config = uvicorn.Config(
        create_app(settings),
        host=settings.reports.host,
        port=settings.reports.port,
        http="h11",
        ws="none",
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=SHUTDOWN_S,
    )
    return Server(config)


def main() -> None:
    settings = load(Settings)
    service_logging.configure("reports-api", settings.log)
    structlog.get_logger(__name__).info("starting", host=settings.reports.host, port=settings.reports.port)
    server(settings).run()


if __name__ == "__main__":
    main()

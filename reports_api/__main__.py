"""``python -m reports_api``: the reports service on its own port."""

from __future__ import annotations

from types import FrameType

import structlog
import uvicorn
from fastapi import FastAPI

from reports_api.app import create_app
from reports_api.settings import Settings
from service_kit import http_server
from service_kit import logging as service_logging
from service_kit.settings import load

CONNECTIONS = 2_000


class Server(uvicorn.Server):
    """Ends live streams as soon as it is told to stop: they would hold up a graceful shutdown."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        app = self.config.app
        if isinstance(app, FastAPI) and hasattr(app.state, "service"):
            app.state.service.hub.close()
        super().handle_exit(sig, frame)


def server(settings: Settings) -> Server:
    own = settings.reports
    return Server(http_server.bounded(create_app(settings), host=own.host, port=own.port, connections=CONNECTIONS))


def main() -> None:
    settings = load(Settings)
    service_logging.configure("reports-api", settings.log)
    structlog.get_logger(__name__).info("starting", host=settings.reports.host, port=settings.reports.port)
    server(settings).run()


if __name__ == "__main__":
    main()

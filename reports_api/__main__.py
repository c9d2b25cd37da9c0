"""``python -m reports_api``: the reports service on its own port."""

from __future__ import annotations

from types import FrameType

import structlog
import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp

from reports_api import edge
from reports_api.app import create_app
from reports_api.settings import ReportsSettings, Settings
from service_kit import http_server
from service_kit import logging as service_logging
from service_kit.settings import load


class Server(uvicorn.Server):
    """Ends live streams as soon as it is told to stop: they would hold up a graceful shutdown."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        app = self.config.app
        if isinstance(app, FastAPI) and hasattr(app.state, "service"):
            app.state.service.hub.close()
        super().handle_exit(sig, frame)


def listening(app: ASGIApp, own: ReportsSettings) -> uvicorn.Config:
    """Configuration of a server for *app* where the settings say."""
    doorway = http_server.Doorway(connections=own.connections, request_s=own.request_receipt_s, headers=edge.SECURITY_HEADERS)
    return http_server.bounded(app, host=own.host, port=own.port, doorway=doorway)


def server(settings: Settings) -> Server:
    return Server(listening(create_app(settings), settings.reports))


def main() -> None:
    settings = load(Settings)
    service_logging.configure("reports-api", settings.log)
    http_server.allow_files(settings.reports.connections.total)
    structlog.get_logger(__name__).info("starting", host=settings.reports.host, port=settings.reports.port)
    server(settings).run()


if __name__ == "__main__":
    main()

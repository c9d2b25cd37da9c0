"""``python -m bff``: serve until SIGTERM."""

from __future__ import annotations

import asyncio
import logging as stdlib_logging

import uvicorn

from bff.app import check_provider, create_app
from bff.server import listening
from bff.settings import Settings
from service_kit import http_server, logging
from service_kit.settings import load


def main() -> None:
    """Settings are read from the environment; wrong ones, or a Keycloak that speaks for another issuer, end the process with code 78."""
    settings = load(Settings)
    logging.configure("bff", settings.log)
    for chatty in ("httpx", "httpcore"):
        stdlib_logging.getLogger(chatty).setLevel("WARNING")
    asyncio.run(check_provider(settings))
    http_server.allow_files(settings.bff.connections.total)
    uvicorn.Server(listening(create_app(settings), settings.bff)).run()


if __name__ == "__main__":
    main()

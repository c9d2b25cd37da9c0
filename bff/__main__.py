"""``python -m bff``: serve until SIGTERM."""

from __future__ import annotations

import asyncio
import logging as stdlib_logging

import uvicorn

from bff.app import check_provider, create_app
from bff.settings import Settings
from service_kit import logging
from service_kit.settings import load

MAX_INCOMPLETE_HEAD = 65_536
CONNECTIONS_AT_MOST = 4000


def main() -> None:
    """Settings are read from the environment; wrong ones, or a Keycloak that speaks for another issuer, end the process with code 78."""
    settings = load(Settings)
    logging.configure("bff", settings.log)
    for chatty in ("httpx", "httpcore"):
        stdlib_logging.getLogger(chatty).setLevel("WARNING")
    asyncio.run(check_provider(settings))
    uvicorn.run(
        create_app(settings),
        host=settings.bff.host,
        port=settings.bff.port,
        http="h11",
        ws="none",
        log_config=None,
        # Our own log has a line a request, without its query; uvicorn's would show codes and states.
        access_log=False,
        proxy_headers=False,
        server_header=False,
        h11_max_incomplete_event_size=MAX_INCOMPLETE_HEAD,
        limit_concurrency=CONNECTIONS_AT_MOST,
        timeout_keep_alive=20,
        timeout_graceful_shutdown=5,
    )


if __name__ == "__main__":
    main()

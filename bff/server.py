"""How the BFF listens."""

from __future__ import annotations

import uvicorn
from starlette.types import ASGIApp

from bff.edge import way_out_of_large_cookies
from bff.security_headers import security_headers
from bff.settings import BffSettings
from service_kit import http_server


def listening(app: ASGIApp, settings: BffSettings) -> uvicorn.Config:
    """Configuration of a server for *app* where *settings* say."""
    doorway = http_server.Doorway(
        connections=settings.connections,
        request_s=settings.request_receipt_s,
        headers=security_headers(secure=settings.secure),
        uncounted=settings.proxy_networks,
        of_large_head=way_out_of_large_cookies,
    )
    return http_server.bounded(app, host=settings.host, port=settings.port, doorway=doorway)

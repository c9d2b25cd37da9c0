"""``/auth/account``: the way to Keycloak's own pages for password, passkeys and the sessions of other devices."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from bff.context import TheBff
from bff.request_guard import require_navigation

router = APIRouter()


@router.get("/auth/account", include_in_schema=False)
async def account(request: Request, bff: TheBff) -> Response:
    """Send the browser there. The page need not know where Keycloak lives."""
    require_navigation(request)
    return RedirectResponse(f"{bff.keycloak.issuer}/account", HTTPStatus.SEE_OTHER)

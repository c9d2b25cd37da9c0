"""At the door: how many requests of one session are looked at at once. What is beyond is refused before it has cost more than its head.

The shares by person (`bff.proxy`) hold over all sessions of somebody, but who somebody is takes a question to Redis and a token that is opened: a hundred
exports at once are ninety-eight such questions in a row, for which everybody else on this instance waits. One session never has more than its person's share.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from bff.allow_list import Nature, nature_of
from bff.cookies import Cookies
from bff.problems import no_place, problem
from bff.settings import BffSettings
from service_kit.shares import Share, ShareFullError, Shares


class Door:
    """ASGI middleware inside the envelope. A place is kept until the last byte of the answer."""

    def __init__(self, app: ASGIApp, *, settings: BffSettings) -> None:
        self._app = app
        self._cookies = Cookies(settings.secure)
        calls = settings.calls.each + settings.calls.queued_each
        each = {Nature.EXPORT: settings.exports.each, Nature.STREAM: settings.streams.each, Nature.ACTION: calls, Nature.POLLING: calls}
        total = max(settings.connections.total, calls, *each.values())
        self._places = {nature: Shares(Share(total=total, each=places)) for nature, places in each.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        nature = nature_of(scope["raw_path"].decode("ascii", "replace")) if scope["type"] == "http" else None
        session_id = self._cookies.session_id(Request(scope)) if nature is not None else None
        if nature is None or session_id is None:
            await self._app(scope, receive, send)
            return
        places = self._places[nature]
        try:
            places.take_at_once(session_id)
        except ShareFullError as full:
            refusal = no_place(full, "exports" if nature is Nature.EXPORT else "requests at once")
            await problem(refusal, scope["state"]["request_id"])(scope, receive, send)
            return
        try:
            await self._app(scope, receive, send)
        finally:
            places.release(session_id)

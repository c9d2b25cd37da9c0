"""The answer of the live stream: a place among the listeners for as long as it lasts."""

from __future__ import annotations

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from reports_api import problems
from reports_api.access import Grant
from reports_api.sse import EventStream
from reports_api.stream import ClosedError, Hub
from service_kit.shares import ShareFullError

STREAM_RETRY_AFTER_S = 5


class LiveStream(Response):
    """Listens at the hub for as long as the answer lasts."""

    def __init__(self, hub: Hub, grant: Grant, last_event_id: str | None, *, heartbeat_s: float, lifetime_s: float) -> None:
        super().__init__()
        self._hub = hub
        self._grant = grant
        self._last_event_id = last_event_id
        self._heartbeat_s = heartbeat_s
        self._lifetime_s = lifetime_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        user_id = self._grant.user_id
        try:
            with self._hub.listen(user_id, self._last_event_id, self._grant.caller.subject) as listener:
                events = EventStream(
                    listener.next_frame,
                    lambda: self._hub.heartbeat(user_id),
                    heartbeat_s=self._heartbeat_s,
                    lifetime_s=self._lifetime_s,
                )
                await events(scope, receive, send)
        except ShareFullError as full:
            refusal = problems.no_place(full, "too-many-streams", "Too many live streams are open.", STREAM_RETRY_AFTER_S)
            await problems.response(refusal, scope["state"]["request_id"])(scope, receive, send)
        except ClosedError:
            refusal = problems.unavailable("The service stops just now.", STREAM_RETRY_AFTER_S)
            await problems.response(refusal, scope["state"]["request_id"])(scope, receive, send)

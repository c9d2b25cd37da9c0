"""Live streams of today's report: one poll of the mart serves all listeners.

Each event is the whole ``/today`` body, so a listener that was away needs only the newest one: its queue is one event long and a newer
event replaces an unread one. Memory is bounded by the number of listeners, however slow they read.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import NamedTuple

import msgspec
import structlog

from reports_api import domain, metrics
from reports_api.etags import event_id
from reports_api.pool import StoreFailedError, StoreUnavailableError
from reports_api.reports import Reports
from reports_api.repository import ForeignRowError, ReportRepository
from reports_api.schemas import Today
from schemas.mart import RowVersion
from service_kit.retries import BackOff
from service_kit.server_sent_events import frame
from service_kit.shares import Shares

log = structlog.get_logger(__name__)

USERS_PER_QUERY = 200
LAST_BACK_OFF_S = 5.0


class Snapshot(NamedTuple):
    """What a user's listeners have been offered last."""

    event_id: str
    timezone: str
    frame: bytes


class ClosedError(Exception):
    """The service stops: no new stream is opened."""


class Listener:
    """One open stream. ``offer`` replaces what was not read yet."""

    def __init__(self, user_id: str, last_event_id: str | None) -> None:
        self.user_id = user_id
        self.closed = False
        self._last_event_id = last_event_id
        self._pending: Snapshot | None = None
        self._wake = asyncio.Event()

    def offer(self, snapshot: Snapshot) -> None:
        """Have *snapshot* sent next, unless it is what the listener has."""
        self._pending = snapshot
        self._wake.set()

    def close(self) -> None:
        self.closed = True
        self._wake.set()

    async def next_frame(self) -> bytes | None:
        """The next event that the listener has not seen; None when the stream is closed."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self.closed:
                return None
            snapshot, self._pending = self._pending, None
            if snapshot is not None and snapshot.event_id != self._last_event_id:
                self._last_event_id = snapshot.event_id
                return snapshot.frame


class Hub:
    """Polls while anybody listens, and pushes what changed. ``run`` is one task for the life of the service."""

    def __init__(self, repository: ReportRepository, reports: Reports, places: Shares, *, poll_s: float) -> None:
        self._repository = repository
        self._reports = reports
        self._poll_s = poll_s
        self._places = places
        self._listeners: set[Listener] = set()
        self._per_user: Counter[str] = Counter()
        self._snapshots: dict[str, Snapshot] = {}
        self._partitions: dict[str, frozenset[int]] = {}
        self._wanted = asyncio.Event()
        self._closed = False

    @contextmanager
    def listen(self, user_id: str, last_event_id: str | None, caller: str) -> Iterator[Listener]:
        """A listener to *user_id*'s reports for the time of the context, counted as *caller*'s. Raises ShareFullError, ClosedError."""
        if self._closed:
            raise ClosedError
        with self._places.place_at_once(caller):
            yield from self._listening(user_id, last_event_id)

    def _listening(self, user_id: str, last_event_id: str | None) -> Iterator[Listener]:
        listener = Listener(user_id, last_event_id)
        self._listeners.add(listener)
        self._per_user[user_id] += 1
        metrics.LISTENERS.set(len(self._listeners))
        if user_id in self._snapshots:
            listener.offer(self._snapshots[user_id])
        self._wanted.set()
        try:
            yield listener
        finally:
            self._forget(listener)

    def _forget(self, listener: Listener) -> None:
        self._listeners.discard(listener)
        self._per_user[listener.user_id] -= 1
        if self._per_user[listener.user_id] <= 0:
            del self._per_user[listener.user_id]
            self._snapshots.pop(listener.user_id, None)
            self._partitions.pop(listener.user_id, None)
        metrics.LISTENERS.set(len(self._listeners))

    def close(self) -> None:
        """End all streams, for a prompt shutdown; new ones are refused."""
        self._closed = True
        for listener in self._listeners:
            listener.close()

    async def heartbeat(self, user_id: str) -> bytes:
        """A ``heartbeat`` event: how far the user's partitions are handled now, also where nothing changes in the reports."""
        return frame("heartbeat", msgspec.json.encode(await self._reports.heartbeat(self._partitions.get(user_id, frozenset()))))

    async def run(self) -> None:
        """Poll for ever. A failed poll is repeated after a back-off; listeners keep their last event meanwhile."""
        back_off = BackOff(first_s=2 * self._poll_s, most_s=LAST_BACK_OFF_S)
        while True:
            await self._wait_for_listeners()
            began = time.monotonic()
            try:
                with metrics.STREAM_POLLS.time():
                    await self.poll()
            except (StoreUnavailableError, StoreFailedError, ForeignRowError) as error:
                metrics.STREAM_POLL_FAILURES.inc()
                pause = back_off.failed()
                log.warning("the mart cannot be polled", error=str(error), retry_s=pause)
            else:
                back_off.succeeded()
                pause = self._poll_s
            # The poll's own time counts, but ClickHouse gets half of the pause to itself even where it is slow.
            await asyncio.sleep(max(pause / 2, pause - (time.monotonic() - began)))

    async def _wait_for_listeners(self) -> None:
        if not self._listeners:
            self._wanted.clear()
            await self._wanted.wait()

    async def poll(self) -> None:
        """Look once at the versions of all listening users, read the days of those that changed, and offer them."""
        users = list(self._per_user)
        for start in range(0, len(users), USERS_PER_QUERY):
            changed = await self._changed(users[start : start + USERS_PER_QUERY])
            if changed:
                for today in await self._reports.today_of(changed):
                    self._offer(today)

    async def _changed(self, users: Sequence[str]) -> list[str]:
        """Those of *users* whose today is not what they were offered last; always those who were offered nothing yet."""
        now = self._reports.clock()
        rows: dict[str, list[RowVersion]] = {user: [] for user in users}
        for row in await self._repository.versions_of_users(users, *domain.possible_dates(now)):
            rows[row.user_id].append(row)
        self._partitions.update((user, frozenset(row.log_partition for row in rows[user])) for user in users if user in self._per_user)
        return [user for user in users if self._differs(user, rows[user], now)]

    def _differs(self, user_id: str, rows: list[RowVersion], now: datetime) -> bool:
        last = self._snapshots.get(user_id)
        if last is None:
            return True
        day = domain.local_date(now, domain.newest_zone(rows, last.timezone))
        return event_id(day, ((row.prosthesis_id, row.version) for row in rows if row.report_date == day)) != last.event_id

    def _offer(self, today: Today) -> None:
        if today.user_id not in self._per_user:
            return  # everybody left while it was read
        snapshot = _snapshot(today)
        self._snapshots[today.user_id] = snapshot
        for listener in self._listeners:
            if listener.user_id == today.user_id:
                listener.offer(snapshot)
                metrics.STREAM_EVENTS.inc()


def _snapshot(today: Today) -> Snapshot:
    identity = event_id(today.report_date, ((report.prosthesis_id, report.version) for report in today.items))
    return Snapshot(identity, today.timezone, frame("report", msgspec.json.encode(today), identity))

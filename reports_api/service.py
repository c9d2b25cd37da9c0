"""What the endpoints use, one of each a process, and the share that each caller has of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from reports_api import problems
from reports_api.error_texts import Catalogue
from reports_api.exports import Exports
from reports_api.reports import Reports
from reports_api.settings import ReportsSettings
from reports_api.stream import Hub
from reports_api.wearers import WearerSearch
from service_kit.shares import RETRY_AFTER_S, ShareFullError, Shares


class Service:
    """*answers* are the places of answers that are being read; exports have their own."""

    def __init__(
        self,
        settings: ReportsSettings,
        reports: Reports,
        hub: Hub,
        exports: Exports,
        *,
        search: WearerSearch,
        texts: Catalogue,
        answers: Shares,
    ) -> None:
        self.settings = settings
        self.reports = reports
        self.hub = hub
        self.search = search
        self.texts = texts
        self._exports = exports
        self._answers = answers

    @asynccontextmanager
    async def turn(self, caller: str) -> AsyncIterator[Reports]:
        """A place of the share of the subject *caller* for one answer; waited for as long as a query may take. Raises ProblemError (429, 503)."""
        try:
            async with asyncio.timeout(self.settings.query_deadline_s):
                await self._answers.take(caller)
        except ShareFullError as full:
            raise problems.no_place(full, "too-many-requests", "Too many requests are under way.") from None
        except TimeoutError:
            raise problems.unavailable("Too many requests are under way.", RETRY_AFTER_S) from None
        try:
            yield self.reports
        finally:
            self._answers.release(caller)

    @asynccontextmanager
    async def exporting(self, caller: str) -> AsyncIterator[Exports]:
        """As `turn`, for an export: its share is one apart. A caller beyond it is refused at once."""
        try:
            async with self._exports.place(caller):
                yield self._exports
        except ShareFullError as full:
            raise problems.no_place(full, "too-many-exports", "Too many exports are being made.") from None

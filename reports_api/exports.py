"""Exports: rows read once, files made in a thread, a few at a time, so that they never hold up the reports."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from reports_api import export_csv, export_pdf
from reports_api.pdf_texts import Language
from reports_api.pool import StoreUnavailableError
from reports_api.reports import Reports
from reports_api.summary import DayRange, summary

AT_ONCE = 2
WAIT_S = 10.0


class Exports:
    """Makes files of a user's reports. Raises StoreUnavailableError where too many are being made."""

    def __init__(self, reports: Reports) -> None:
        self._reports = reports
        self._free = asyncio.Semaphore(AT_ONCE)

    async def csv(self, user_id: str, days: DayRange, prosthesis_id: str) -> bytes:
        """UTF-8 with a byte order mark, one line a report, newest day first."""
        rows, watermarks = await self._reports.rows(user_id, days, prosthesis_id)
        return await self._make(lambda: export_csv.render(rows, watermarks))

    async def pdf(self, user_id: str, days: DayRange, language: Language) -> bytes:
        """One page."""
        rows, watermarks = await self._reports.rows(user_id, DayRange(days.before().first, days.last), "")
        now = self._reports.clock()
        body = summary(user_id, days, rows, watermarks, now)
        return await self._make(lambda: export_pdf.render(rows, body, now, language))

    async def _make(self, make: Callable[[], bytes]) -> bytes:
        try:
            async with asyncio.timeout(WAIT_S):
                await self._free.acquire()
        except TimeoutError:
            raise StoreUnavailableError("too many exports are being made", 5) from None
        try:
            return await asyncio.to_thread(make)
        finally:
            self._free.release()

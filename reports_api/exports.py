"""Exports: rows read once, files made in a process of their own, so that they never hold up the reports.

Why a process: making a file is work for the CPU, up to 100 ms of it, and the maker of PDFs keeps fonts in memory. In a thread it takes turns with the event loop,
which every other answer then waits for.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import asynccontextmanager
from functools import partial

import structlog

from reports_api import export_csv, export_pdf
from reports_api.error_texts import Catalogue
from reports_api.languages import Language
from reports_api.pool import StoreUnavailableError
from reports_api.reports import Reports
from reports_api.summary import DayRange, summary
from service_kit.shares import Shares

BEHIND_ANSWERS = 10
"""Steps of niceness: an export is work in the background, and on a busy machine gets a tenth of what an answer gets."""
log = structlog.get_logger(__name__)


class Exports:
    """Makes files of a user's reports. One file is made at a time; *places* bounds who may wait for that."""

    def __init__(self, reports: Reports, texts: Catalogue, places: Shares, *, deadline_s: float) -> None:
        self._reports = reports
        self._texts = texts
        self._places = places
        self._deadline_s = deadline_s
        self._workshop: ProcessPoolExecutor | None = None

    @asynccontextmanager
    async def place(self, caller: str) -> AsyncIterator[None]:
        """A place of *caller* for one export, with the export's deadline. Raises ShareFullError, and StoreUnavailableError at the deadline."""
        try:
            async with asyncio.timeout(self._deadline_s), self._places.place(caller):
                yield
        except TimeoutError:
            raise StoreUnavailableError(f"the export was not made within {self._deadline_s:g} s", 5) from None

    async def csv(self, user_id: str, days: DayRange, prosthesis_id: str, decimal: export_csv.Decimal) -> bytes:
        """UTF-8 with a byte order mark, one line a report, newest day first."""
        rows, watermarks = await self._reports.rows(user_id, days, prosthesis_id)
        return await self._made(partial(export_csv.render, rows, watermarks, decimal))

    async def pdf(self, user_id: str, days: DayRange, language: Language) -> bytes:
        """One page."""
        rows, watermarks = await self._reports.rows(user_id, DayRange(days.before().first, days.last), "")
        now = self._reports.clock()
        body = summary(user_id, days, rows, watermarks, now)
        return await self._made(partial(export_pdf.render, rows, body, now, language, self._texts))

    async def _made(self, make: Callable[[], bytes]) -> bytes:
        workshop = self._workshop or _opened()
        self._workshop = workshop
        try:
            return await asyncio.get_running_loop().run_in_executor(workshop, make)
        except BrokenProcessPool:
            log.error("the process that makes exports has ended; the next export starts another")  # noqa: TRY400  its trace says no more
            if self._workshop is workshop:
                self._workshop = None
            raise StoreUnavailableError("the process that makes exports has ended", 1) from None

    async def close(self) -> None:
        """End the process, after the file that it makes just now."""
        if self._workshop is not None:
            await asyncio.to_thread(self._workshop.shutdown, wait=True, cancel_futures=True)


def _opened() -> ProcessPoolExecutor:
    # Started anew, not forked: this process has threads.
    return ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn"), initializer=_begin_work)


def _begin_work() -> None:
    """Prepare the new process. It stands back for whoever answers people, ignores Ctrl-C, because the service ends it in order, and ends itself when the service is gone."""
    os.nice(BEHIND_ANSWERS)
    if hasattr(os, "sched_setscheduler"):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent.sentinel,), daemon=True).start()


def _end_after(sentinel: int) -> None:
    multiprocessing.connection.wait([sentinel])
    os._exit(0)

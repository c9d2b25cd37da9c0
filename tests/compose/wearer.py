"""A wearer of the system in containers: logs in by the published ports, and sees what is in the database on the report."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any

import httpx

from tests.compose.engine import Project, TrialError
from tests.support.bff_browser import Browser

LOGIN = "ivan.petrov"
SEEN_LIMIT_S = 180.0
INSERT = """
INSERT INTO telemetry.telemetry_events (prosthesis_id, recorded_at, kind, amplitude_uv, movement_recognised, active_ms, battery_percent)
SELECT {prosthesis_id}, clock_timestamp(), 'signal', 700, true, 400, 80 FROM generate_series(1, {count})
"""


class Wearer:
    """*page*: the published address. *password*: of `LOGIN`."""

    def __init__(self, project: Project, page: str, password: str) -> None:
        self._project = project
        self._password = password
        self._browser = Browser(page.replace("localhost", "127.0.0.1"), page)

    async def __aenter__(self) -> Wearer:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._browser.close()

    async def log_in(self) -> None:
        answer = await self._browser.login(LOGIN, self._password)
        if answer.status_code != 303:
            raise TrialError(f"login: HTTP {answer.status_code} {answer.text[:300]}")

    async def today(self) -> dict[str, Any]:
        answer = await self._browser.api("/reports/today")
        if answer.status_code != 200:
            raise TrialError(f"/reports/today: HTTP {answer.status_code} {answer.text[:300]}")
        body: dict[str, Any] = answer.json()
        return body

    async def signals(self) -> int:
        """How many signals today's report counts."""
        return sum(report["signals"]["count"] for report in (await self.today())["items"])

    async def events(self) -> int:
        """How many events of any kind today's report counts."""
        return sum(report["event_count"] for report in (await self.today())["items"])

    async def _prosthesis_id(self) -> int:
        """Of one that is theirs now: it may have sent nothing today, at night or where it has no network."""
        answer = await self._browser.api("/reports/prostheses")
        if answer.status_code != 200:
            raise TrialError(f"/reports/prostheses: HTTP {answer.status_code} {answer.text[:300]}")
        return int(next(each["prosthesis_id"] for each in answer.json()["items"] if each["current"]))

    async def sees_what_is_inserted(self, count: int) -> float:
        """Insert *count* signals by SQL; how many seconds later the report counts exactly so many more. Raises `TrialError`."""
        before = await self.signals()
        await asyncio.to_thread(self._insert, await self._prosthesis_id(), count)
        loop = asyncio.get_running_loop()
        began, seen = loop.time(), before
        while seen != before + count:
            if seen > before + count:
                raise TrialError(f"{count} signals were inserted and {seen - before} are counted")
            if loop.time() - began > SEEN_LIMIT_S:
                raise TrialError(f"{count} signals were inserted, {seen - before} are counted after {SEEN_LIMIT_S:g} s")
            await asyncio.sleep(0.2)
            seen = await self._signals_or(seen)
        return loop.time() - began

    async def _signals_or(self, last: int) -> int:
        """The count now; the *last* one while servers come back."""
        try:
            return await self.signals()
        except (TrialError, httpx.HTTPError):
            return last

    def _insert(self, prosthesis_id: int, count: int) -> None:
        statement = INSERT.format(prosthesis_id=prosthesis_id, count=count)
        psql = ("psql", "--username=postgres", "--dbname=telemetry", "--quiet", "--set=ON_ERROR_STOP=1", "--command", statement)
        self._project.call("exec", "-T", "--user", "postgres", "postgres", *psql)

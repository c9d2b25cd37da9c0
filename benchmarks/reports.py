"""``reports``: today's report and 90 days, through the service and through the BFF, under ingest, against the bare query by ClickHouse's protocol.

The mart holds 1.8 million more rows. Every answer is compared with the bare query's rows.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from clickhouse_driver import Client

from benchmarks.demo import WEARER, chromium, demo, insert_event, logged_in, prosthesis_of_wearer
from benchmarks.endtoend import user_of
from benchmarks.results import Failure, Result, WrongResultsError, versions_of
from benchmarks.servers import Servers, progress
from benchmarks.service import ReportsService, reports_service
from benchmarks.source import Fleet, Generator, connected, make_owners
from benchmarks.worker import SubjectFailedError
from schemas.mart import MartRow
from service_kit.percentiles import told

BENCH = "reports"
USERS = 20_000
DAYS = 90
REQUESTS = 300
RATE = 1_000.0
PAUSE_S = 0.06  # the BFF takes 1,200 requests a minute of a session
ROWS_LIMIT_S = 60.0
FIRST_USER = 500_001
LIVE = Fleet(400_001, 500)
FILL = """
INSERT INTO bionicpro_g1.user_daily_reports
SELECT concat(substring(hex, 1, 8), '-', substring(hex, 9, 4), '-', substring(hex, 13, 4), '-', substring(hex, 17, 4), '-', substring(hex, 21)) AS user_id,
       toDate32(today() - intDiv(number, {users})) AS report_date, toString(person) AS prosthesis_id, toString(person), concat('Wearer ', toString(person)), 'UTC',
       toString(person), concat('C-', toString(person)), 'Hand X1', concat('SN-', toString(person)), toDateTime(report_date, 'UTC'),
       toDateTime(report_date + 1, 'UTC'), 200, toDateTime64(report_date, 6, 'UTC'), toDateTime64(report_date, 6, 'UTC') + toIntervalHour(12),
       3600000, arrayMap(hour -> rand(hour) % 3600000, range(24)), 150, 120, 1500000, 3, 19999, arrayMap(bucket -> rand(bucket) % 20, range(16)), 30, 1000, 9000,
       9000, 1000, 8000, 3, 1, map('E-17', 2, 'E-03', 1), 557, 376, number % 24, 1, 0
FROM (SELECT number, {first} + number % {users} AS person, leftPad(lower(hex(person)), 32, '0') AS hex FROM numbers({rows}))
"""
COLUMNS = ", ".join(MartRow._fields)
BARE = (
    f"SELECT {COLUMNS} FROM bionicpro_g1.user_daily_reports FINAL WHERE user_id = %(user)s AND report_date BETWEEN %(first)s AND %(last)s"
)

Rows = list[tuple[str, str, int]]  # (day, prosthesis, events), sorted


def run(events: int | None) -> Iterator[Result | Failure]:
    users, requests = (USERS, REQUESTS) if events is None else (max(100, events // DAYS), 20)
    with demo() as servers, chromium() as browser, servers.clickhouse() as migrator, reports_service(servers) as service:
        context = logged_in(servers, browser)
        cookies = "; ".join(f"{cookie.get('name')}={cookie.get('value')}" for cookie in context.cookies(servers.instance.page))
        context.close()
        with connected(servers, "telemetry", "telemetry_ingest") as telemetry:
            insert_event(telemetry, prosthesis_of_wearer(servers))  # the demo's data may all be of yesterday, where the wearer lives
        progress(f"filling the mart with {users * DAYS:,} rows")
        migrator.execute(FILL.format(users=users, first=FIRST_USER, rows=users * DAYS))
        make_owners(servers, LIVE)
        with Generator(servers, LIVE, RATE), servers.clickhouse("auditor") as reader:
            time.sleep(3.0)
            chosen = [user_of(FIRST_USER + random.Random(3).randrange(users)) for _ in range(requests)]  # noqa: S311  a choice of users, no secret
            for days in (1, DAYS):
                yield from _compared(reader, service, chosen, days)
                yield from _through_the_door(servers, service, cookies, days, requests)


def _compared(reader: Client, service: ReportsService, users: list[str], days: int) -> Iterator[Result]:
    """The bare query and the service, for the same users."""
    bare, served = _Timed(_Bare(reader, days)), _Timed(_Asked(service.url, _tokens(service, users), days, own=True))
    _in_turn(served, bare, users)
    yield _result(f"bare query, {_name(days)}", bare.seconds)
    yield _result(f"service, {_name(days)}", served.seconds)


def _through_the_door(servers: Servers, service: ReportsService, cookies: str, days: int, requests: int) -> Iterator[Result]:
    """One wearer's reports straight from the service, and with a session through the BFF, in turn."""
    user = str(WEARER.user.user_id)
    straight = _Asked(service.url, _tokens(service, [user]), days, own=True)
    _wait_for_rows(straight, user)
    direct = _Timed(straight)
    session = {user: {"Cookie": cookies, "X-BionicPRO-CSRF": "1"}}
    door = _Timed(_Asked(f"{servers.instance.page}", session, days, own=False))
    _in_turn(door, direct, [user] * requests)
    yield _result(f"service, one wearer, {_name(days)}", direct.seconds)
    yield _result(f"BFF, one wearer, {_name(days)}", door.seconds)


def _in_turn(one: _Timed, other: _Timed, users: list[str]) -> None:
    """Ask both for each user, and compare. Each comes first every second time: who comes second finds the user's rows in the server's caches."""
    for turn, user in enumerate(users):
        first, second = (one, other) if turn % 2 == 0 else (other, one)
        _same(user, first(user), second(user))
        time.sleep(PAUSE_S)


def _wait_for_rows(ask: _Asked, user: str) -> None:
    until = time.monotonic() + ROWS_LIMIT_S
    while not ask(user):
        if time.monotonic() > until:
            raise SubjectFailedError(f"{user} has no report {ROWS_LIMIT_S:.0f} s after an event of now")
        time.sleep(PAUSE_S)


class _Bare:
    """The rows of the table itself, without a view or a service between."""

    def __init__(self, reader: Client, days: int) -> None:
        self._reader, self._days = reader, days

    def __call__(self, user: str) -> Rows:
        last = datetime.now(UTC).date()
        found = self._reader.execute(BARE, {"user": user, "first": last - timedelta(days=self._days - 1), "last": last})
        rows = [MartRow._make(row) for row in found]
        return sorted((row.report_date.isoformat(), row.prosthesis_id, row.event_count) for row in rows)


class _Asked:
    """The same over HTTP with each user's *headers*, all pages of it; *own*: the path names the user."""

    def __init__(self, url: str, headers: dict[str, dict[str, str]], days: int, *, own: bool) -> None:
        self._http = httpx.Client(timeout=15.0, trust_env=False)
        self._url, self._headers, self._days, self._own = url, headers, days, own

    def __call__(self, user: str) -> Rows:
        base = f"{self._url}/reports/{user}" if self._own else f"{self._url}/reports"
        items = self._pages(base, user) if self._days > 1 else self._get(f"{base}/today", user)["items"]
        return sorted((item["report_date"], item["prosthesis_id"], item["event_count"]) for item in items)

    def _pages(self, base: str, user: str) -> list[dict[str, Any]]:
        last = datetime.now(UTC).date()
        query = {"from": (last - timedelta(days=self._days - 1)).isoformat(), "to": last.isoformat(), "limit": "100"}
        items: list[dict[str, Any]] = []
        while True:
            page = self._get(base, user, query)
            items += page["items"]
            if page["next_cursor"] is None:
                return items
            query["cursor"] = page["next_cursor"]

    def _get(self, url: str, user: str, query: dict[str, str] | None = None) -> dict[str, Any]:
        answer = self._http.get(url, params=query, headers=self._headers[user])
        if answer.status_code != 200:
            raise SubjectFailedError(f"{url} answers {answer.status_code}: {answer.text[:300]}")
        body: dict[str, Any] = answer.json()
        return body


class _Timed:
    """Notes how long each question took; the first one, which opens connections, is left out."""

    def __init__(self, ask: Callable[[str], Rows]) -> None:
        self._ask = ask
        self._all: list[float] = []

    def __call__(self, user: str) -> Rows:
        began = time.perf_counter()
        rows = self._ask(user)
        self._all.append(time.perf_counter() - began)
        return rows

    @property
    def seconds(self) -> list[float]:
        return self._all[1:]


def _tokens(service: ReportsService, users: list[str]) -> dict[str, dict[str, str]]:
    return {user: {"Authorization": f"Bearer {service.issuer.token(user)}"} for user in set(users)}


def _same(user: str, found: Rows, wanted: Rows) -> None:
    if found != wanted or not wanted:
        raise WrongResultsError(
            f"{user}: (day, prosthesis, events) are {found[:2]}… instead of {wanted[:2]}… ({len(found)} and {len(wanted)} rows)"
        )


def _name(days: int) -> str:
    return "today" if days == 1 else f"{days} days"


def _result(subject: str, seconds: list[float]) -> Result:
    progress(f"{subject}: {told(seconds)}")
    return Result(
        BENCH, subject, len(seconds), sum(seconds), percentiles_ms=told(seconds), versions=versions_of("fastapi", "clickhouse-driver")
    )

"""A crowd of browsers that ask again and again, look at every answer, and are logged out at the end."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
from redis import Redis

from bff.sessions import session_key
from service_kit.server_sent_events import events_async
from tests.load import abuser as abuser_process
from tests.load.abuser import Order
from tests.load.people import Person, fault_of, in_mart, rows_of
from tests.support.bff_browser import Browser
from tests.support.bff_case import Realm
from tests.support.endpoints import RedisEndpoint
from tests.support.reports_world import Mart
from tests.support.waiting import PATIENCE_S

PATHS = ("/reports/today", "/reports", "/reports/summary")
LOGINS_AT_ONCE = 4
LISTENERS_EVERY = 10
Outage = Callable[[], Awaitable[None]]
"""Takes Keycloak away for a while; returns when it is back."""


@dataclass(frozen=True)
class Site:
    """What the crowd meets: BFFs at *addresses*, all known to browsers as *origin*."""

    realm: Realm
    mart: Mart
    redis: RedisEndpoint
    origin: str
    addresses: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """*seconds* of asking (0: none, and no outage), each person every *pause_s*; before it *abuse_s* without and *abuse_s* with an abuser among them."""

    seconds: float
    pause_s: float
    abuse_s: float = 0.0


@dataclass
class Tally:
    """What was answered. ``wrong`` holds every answer that nobody should have got, in words."""

    statuses: Counter[int] = field(default_factory=Counter)
    events: int = 0
    wrong: list[str] = field(default_factory=list)
    leaked: list[str] = field(default_factory=list)
    latencies_s: list[float] = field(default_factory=list)
    outage_s: float = 0.0
    recovery_s: float = 0.0
    calm_s: list[float] = field(default_factory=list)
    abused_s: list[float] = field(default_factory=list)
    abusers: Counter[int] = field(default_factory=Counter)


@dataclass
class Member:
    """A person at their browser. ``newest``: the highest version seen; what is asked later may not fall behind it. ``stolen``: a copy of the cookie."""

    person: Person
    browser: Browser
    newest: int = 0
    stolen: dict[str, str] = field(default_factory=dict)

    def check(self, body: dict[str, Any], newest: int) -> str | None:
        """What is wrong with an answer that was asked for when *newest* had been seen; None if nothing is."""
        if body["user_id"] != self.person.user.user_id:
            return f"an answer for {body['user_id']}"
        if "current" in body:
            own = body["current"]["prosthesis_ids"] == [self.person.prosthesis_id]
            return None if own else f"a summary of {body['current']['prosthesis_ids']}"
        if not body["items"]:
            return "an answer without reports"
        for report in body["items"]:
            if fault := fault_of(self.person, report):
                return fault
        oldest = min(report["version"] for report in body["items"])
        if oldest < newest:
            return f"version {oldest} after version {newest}"
        self.newest = max(self.newest, oldest)
        return None


async def run(site: Site, people: Sequence[Person], plan: Plan, outage: Outage, told: Callable[[str], None]) -> Tally:
    """Log everybody in, let them ask, for as long as *outage* in the middle takes at least, wait until all is well, log everybody out, and look for what is left."""
    tally = Tally()
    members = [Member(person, Browser(site.addresses[number % len(site.addresses)], site.origin)) for number, person in enumerate(people)]
    write(site.mart, people, 1)
    streams: list[asyncio.Task[None]] = []
    try:
        await _log_in(members)
        told(f"{len(members)} people are logged in")
        streams = [asyncio.create_task(_listen(member, tally)) for member in members[::LISTENERS_EVERY]]
        if plan.abuse_s:
            await _beside_an_abuser(members, site.origin, plan, tally, told)
        if plan.seconds:
            await _ask_around(site, members, plan, outage, tally, told)
        told("logging everybody out")
        await _compare(site, members, tally)
        await _log_out(site, members)
        await _look_for_leaks(site, members, streams, tally)
    finally:
        for stream in streams:
            stream.cancel()
        await asyncio.gather(*streams, return_exceptions=True)
        await asyncio.gather(*(member.browser.close() for member in members))
    return tally


def write(mart: Mart, people: Sequence[Person], version: int) -> None:
    mart.put(*(row for person in people for row in rows_of(person, version)))


async def _log_in(members: Sequence[Member]) -> None:
    free = asyncio.Semaphore(LOGINS_AT_ONCE)

    async def one(member: Member) -> None:
        async with free:
            answer = await member.browser.login(member.person.user.username, member.person.user.password)
            assert answer.status_code == 303, f"login of {member.person.user.username}: HTTP {answer.status_code}"
            member.stolen = dict(member.browser.cookies)

    await asyncio.gather(*(one(member) for member in members))


async def _ask_around(site: Site, members: Sequence[Member], plan: Plan, outage: Outage, tally: Tally, told: Callable[[str], None]) -> None:
    until, back = time.monotonic() + plan.seconds, asyncio.Event()

    def goes_on() -> bool:
        return time.monotonic() < until or not back.is_set()

    writing = asyncio.create_task(_keep_writing(site.mart, [member.person for member in members]))
    asking = [asyncio.create_task(_ask(member, number, goes_on, plan.pause_s, tally)) for number, member in enumerate(members)]
    try:
        await asyncio.sleep(plan.seconds / 4)
        began = time.monotonic()
        told("Keycloak goes away")
        await outage()
        back.set()
        tally.outage_s = time.monotonic() - began
        told(f"Keycloak is back after {tally.outage_s:.1f} s")
        began = time.monotonic()
        await asyncio.gather(*(_recovered(member, tally) for member in members))
        tally.recovery_s = time.monotonic() - began
        await asyncio.gather(*asking)
    finally:
        for task in (writing, *asking):
            task.cancel()
        await asyncio.gather(writing, *asking, return_exceptions=True)


async def _beside_an_abuser(members: Sequence[Member], origin: str, plan: Plan, tally: Tally, told: Callable[[str], None]) -> None:
    """The others ask as ever, first without and then with one person who wants everything at once: nobody else may be refused, or wait much longer."""
    abuser, *others = members
    told("everybody asks, nobody abuses")
    tally.calm_s = await _asked_by_all(others, plan, tally)
    told("one person exports without end")
    async with asyncio.TaskGroup() as group:
        abusing = group.create_task(abuser_process.hired(Order(abuser.browser.base, origin, plan.abuse_s, abuser.browser.cookies)))
        tally.abused_s = await _asked_by_all(others, plan, tally)
    tally.abusers = abusing.result()


async def _asked_by_all(members: Sequence[Member], plan: Plan, tally: Tally) -> list[float]:
    """The latencies of what *members* ask in ``abuse_s`` seconds; anything but 200 is wrong."""
    until, period = time.monotonic() + plan.abuse_s, Tally()
    await asyncio.gather(
        *(_ask(member, number, lambda: time.monotonic() < until, plan.pause_s, period) for number, member in enumerate(members))
    )
    tally.statuses.update(period.statuses)
    tally.wrong += period.wrong
    tally.wrong += [f"{count} answers with {status}, though all was up" for status, count in period.statuses.items() if status != 200]
    return period.latencies_s


async def _keep_writing(mart: Mart, people: Sequence[Person]) -> None:
    """The mart moves on all the while: answers must hold together at any version."""
    version = 1
    while True:
        await asyncio.sleep(1)
        version += 1
        writing = asyncio.create_task(asyncio.to_thread(write, mart, people[version % 2 :: 2], version))
        try:
            await asyncio.shield(writing)
        finally:
            await writing  # a thread goes on when it is cancelled: what is compared at rest must be at rest


async def _ask(member: Member, number: int, goes_on: Callable[[], bool], pause_s: float, tally: Tally) -> None:
    await asyncio.sleep(pause_s * (number % 20) / 20)
    turn = number
    while goes_on():
        turn += 1
        await asked(member, PATHS[turn % len(PATHS)], tally)
        await asyncio.sleep(pause_s)


async def asked(member: Member, path: str, tally: Tally) -> int:
    """Ask once and look at the answer. The status, 0 where there was none."""
    began, newest = time.monotonic(), member.newest
    try:
        answer = await member.browser.api(path)
    except httpx.HTTPError as error:
        tally.wrong.append(f"{member.person.user.username} {path}: no answer, {type(error).__name__}")
        return 0
    tally.statuses[answer.status_code] += 1
    if answer.status_code == 200:
        tally.latencies_s.append(time.monotonic() - began)
        fault = member.check(answer.json(), newest)
    elif answer.status_code == 503 and int(answer.headers.get("retry-after", 0)) > 0:
        fault = None
    else:
        fault = f"HTTP {answer.status_code}"
    if fault is not None:
        tally.wrong.append(f"{member.person.user.username} {path}: {fault}")
    return answer.status_code


async def _recovered(member: Member, tally: Tally) -> None:
    """Ask until there is a report again."""
    until = time.monotonic() + PATIENCE_S
    while await asked(member, "/reports/today", tally) != 200:
        if time.monotonic() > until:
            tally.wrong.append(f"{member.person.user.username}: no report {PATIENCE_S:g} s after Keycloak came back")
            return
        await asyncio.sleep(1)


async def _listen(member: Member, tally: Tally) -> None:
    """An open live view, opened again whenever it ends, until the session has ended."""
    while True:
        stream = await member.browser.stream("/reports/stream")
        try:
            if stream.status_code == 401:
                return
            if stream.status_code == 200:
                async for event in events_async(stream.aiter_lines()):
                    if event.event == "report":
                        tally.events += 1
                        if fault := _other(member.person, json.loads(event.data)):
                            tally.wrong.append(f"{member.person.user.username} stream: {fault}")
            elif stream.status_code != 503:
                tally.wrong.append(f"{member.person.user.username} stream: HTTP {stream.status_code}")
        finally:
            await stream.aclose()
        await asyncio.sleep(0.5)


def _other(person: Person, body: dict[str, Any]) -> str | None:
    if body["user_id"] != person.user.user_id:
        return f"an event for {body['user_id']}"
    return next((fault for report in body["items"] if (fault := fault_of(person, report))), None)


async def _compare(site: Site, members: Sequence[Member], tally: Tally) -> None:
    """At rest, everybody sees exactly what the mart has of them."""
    expected = in_mart(site.mart, [member.person for member in members])
    for member in members:
        rows = expected[member.person.user.user_id]
        first, last = min(rows)[0], max(rows)[0]
        answer = await member.browser.api(f"/reports?from={first}&to={last}&limit=100")
        seen = (
            {(r["report_date"], r["prosthesis_id"], r["version"]) for r in answer.json()["items"]} if answer.status_code == 200 else set()
        )
        if seen != rows:
            tally.wrong.append(
                f"{member.person.user.username} at rest: HTTP {answer.status_code}, {sorted(seen ^ rows)[:2]} differ from the mart"
            )


async def _log_out(site: Site, members: Sequence[Member]) -> None:
    """Every second one by the page's button, the others at Keycloak, which calls the back channel."""
    for number, member in enumerate(members):
        if number % 2:
            await asyncio.to_thread(site.realm.admin.user_logout, member.person.user.user_id)
        else:
            await member.browser.api("/auth/logout", "POST")


async def _look_for_leaks(site: Site, members: Sequence[Member], streams: Sequence[asyncio.Task[None]], tally: Tally) -> None:
    """No cookie opens anything on any instance, and no live view is open, once everybody is logged out."""
    if streams:
        _, alive = await asyncio.wait(streams, timeout=PATIENCE_S)
        tally.leaked += [f"{len(alive)} live views are open"] * bool(alive)
        broken = [error for stream in streams if stream.done() and (error := stream.exception())]
        tally.wrong += [f"a live view failed: {error!r}" for error in broken]
    for address in site.addresses:
        async with Browser(address, site.origin) as thief:
            for member in members:
                thief.cookies = dict(member.stolen)
                if (status := (await thief.api("/reports/today")).status_code) != 401:
                    tally.leaked.append(f"{member.person.user.username}: HTTP {status} at {address} after logout")
    with Redis.from_url(site.redis.url) as store:
        kept = sum(store.exists(session_key(value)) for member in members for name, value in member.stolen.items() if "session" in name)
    tally.leaked += [f"{kept} sessions are in Redis"] * bool(kept)

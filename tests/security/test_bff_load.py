"""Many people at once, and Keycloak going away in the middle: no wrong answer, no leaked session."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable

from tests.support.bff_browser import Browser
from tests.support.bff_world import World

Outage = Callable[[], Awaitable[None]]
LOGINS = ("anna", "boris")


async def crowd(world: World, size: int) -> list[tuple[str, Browser]]:
    """*size* logged-in browsers, half of each person's; after the first, single sign-on spares the form."""
    people: list[tuple[str, Browser]] = []
    first: dict[str, Browser] = {}
    for number in range(size):
        login = LOGINS[number % 2]
        browser = world.browser(world.instances[number % len(world.instances)])
        if login in first:
            browser.keycloak_cookies = dict(first[login].keycloak_cookies)
        first.setdefault(login, browser)
        user = world.user(login)
        assert (await browser.login(user.username, user.password)).status_code == 303
        people.append((login, browser))
    return people


async def use(world: World, person: tuple[str, Browser], until: float, pause_s: float, seen: Counter[int]) -> None:
    """Ask again and again until *until*; whatever is answered with 200 must be this person's."""
    login, browser = person
    while time.monotonic() < until:
        answer = await browser.api("/reports/today")
        seen[answer.status_code] += 1
        if answer.status_code == 200:
            assert answer.json()["user_id"] == world.user(login).user_id
        await asyncio.sleep(pause_s)


async def recovered(browser: Browser) -> int:
    """The status once it is no longer 503, or after a minute."""
    for _ in range(60):
        status = (await browser.api("/reports/today")).status_code
        if status != 503:
            return status
        await asyncio.sleep(1)
    return 503


async def load(world: World, *, size: int, seconds: float, pause_s: float, outage: Outage) -> Counter[int]:
    """Run the crowd for *seconds* with *outage* in the middle; returns how often each status was answered. Sessions are refreshed all the while."""
    world.gate.tamper = lambda answer: answer | {"expires_in": 20}
    people = await crowd(world, size)
    seen: Counter[int] = Counter()
    until = time.monotonic() + seconds
    try:
        await asyncio.gather(outage(), *(use(world, person, until, pause_s, seen) for person in people))
        after = await asyncio.gather(*(recovered(browser) for _, browser in people))
        assert after == [200] * size, Counter(after)
        for login in LOGINS:
            world.realm.admin.user_logout(world.user(login).user_id)
        leaked = [(await browser.api("/reports/today")).status_code for _, browser in people]
        assert leaked == [401] * size, Counter(leaked)
    finally:
        for _, browser in people:
            await browser.close()
    return seen


async def test_a_crowd_gets_its_own_answers_or_503_while_keycloak_is_away_and_nobody_is_logged_out(world: World) -> None:
    world.start(sessions_per_user=1000)
    world.start(sessions_per_user=1000)

    async def away() -> None:
        await asyncio.sleep(1)
        world.gate.status = 503
        # Longer than tokens last that are renewed after 10 of their 20 seconds.
        world.clock.ahead_s += 15.0
        await asyncio.sleep(5)
        world.gate.status = None

    seen = await load(world, size=16, seconds=10, pause_s=0.3, outage=away)
    assert set(seen) == {200, 503}, seen

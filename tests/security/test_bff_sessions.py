"""How sessions are refreshed, and how they end. Numbers are those of docs/security.md."""

from __future__ import annotations

import asyncio
from typing import Any

from service_kit.shares import Share
from tests.support.bff_browser import Browser
from tests.support.bff_case import BffCase, Realm
from tests.support.waiting import eventually

EXPIRING_S = 290.0
"""This far ahead an access token of five minutes is due for renewal."""

BACKGROUND = {"X-BionicPRO-Background": "1"}


async def refreshes_of_20_parallel_requests(world: BffCase) -> int:
    first, second = world.start(), world.start()
    # Tokens of a minute: the clock is moved twice, and must not come too far from Keycloak's.
    world.gate.tamper = lambda answer: answer | {"expires_in": 60}
    async with await world.logged_in(instance=first) as here, world.browser(second) as there:
        there.copy_cookies_from(here)
        world.clock.ahead_s += 40.0
        world.gate.grants.clear()
        answers = await asyncio.gather(*(browser.api("/reports/today") for _ in range(10) for browser in (here, there)))
        assert [answer.status_code for answer in answers] == [200] * 20
        # The session goes on: the tokens that were stored are good for another refresh.
        grants = len(world.gate.grants)
        world.clock.ahead_s += 80.0
        assert (await there.api("/reports/today")).status_code == 200
        assert len(world.gate.grants) == grants + 1
    return grants


async def test_20_parallel_requests_at_two_instances_refresh_once(world: BffCase) -> None:
    """Case 15."""
    assert await refreshes_of_20_parallel_requests(world) == 1


async def test_20_parallel_requests_refresh_once_where_refresh_tokens_rotate(world: BffCase, changed_realm: Realm) -> None:
    """Case 15, with rotation on: a second refresh with the same token would end the session at Keycloak."""
    changed_realm.configure(revokeRefreshToken=True, refreshTokenMaxReuse=0)
    assert await refreshes_of_20_parallel_requests(world) == 1


async def test_a_refresh_slower_than_a_common_lock_happens_once_and_answers_all(world: BffCase) -> None:
    """Case 15: Keycloak takes 6 seconds, longer than the 5 that locks are often given."""
    world.gate.delay_s = 6.0
    assert await refreshes_of_20_parallel_requests(world) == 1


async def test_a_request_that_gave_up_does_not_break_the_refresh_of_the_others(world: BffCase) -> None:
    """A browser that goes away in the middle of a refresh leaves the session whole, also where refresh tokens rotate."""
    world.start()
    async with await world.logged_in() as browser:
        world.clock.ahead_s += EXPIRING_S
        world.gate.delay_s = 1.0
        gone = asyncio.create_task(browser.api("/reports/today"))
        await eventually(lambda: "refresh_token" in world.gate.grants)
        gone.cancel()
        assert (await browser.api("/reports/today")).status_code == 200
        assert world.gate.grants.count("refresh_token") == 1


async def ended_at_the_next_refresh(world: BffCase, browser: Browser) -> None:
    world.clock.ahead_s += EXPIRING_S
    refused = await browser.api("/reports/today")
    assert refused.status_code == 401
    assert refused.json()["login_url"] == "/auth/login"
    assert browser.session_id is None
    assert (await browser.api("/auth/session")).json() == {"authenticated": False}


async def test_a_session_ended_at_keycloak_ends_here_at_the_next_refresh(world: BffCase) -> None:
    """Case 16: the refresh token is revoked, without a logout token reaching the BFF."""
    world.start(public_url=world.realm.page)
    async with await world.logged_in() as browser:
        world.instances[0].served.stop()
        world.realm.admin.user_logout(world.user("anna").user_id)
        world.instances[0].served.start()
        await ended_at_the_next_refresh(world, browser)


async def test_a_disabled_users_session_ends_at_the_next_refresh(world: BffCase, changed_realm: Realm) -> None:
    """Case 16."""
    world.start()
    async with await world.logged_in("boris") as browser:
        changed_realm.admin.update_user(world.user("boris").user_id, {"enabled": False})
        await ended_at_the_next_refresh(world, browser)


async def test_a_refresh_that_speaks_of_another_subject_kills_the_session(world: BffCase) -> None:
    """Case 17."""
    world.start()

    def another(answer: dict[str, Any]) -> dict[str, Any]:
        claims = world.realm.hands.claims_of(answer["id_token"]) | {"sub": world.user("boris").user_id}
        return answer | {"id_token": world.realm.hands.sign(claims)}

    async with await world.logged_in() as browser:
        world.gate.tamper = another
        await ended_at_the_next_refresh(world, browser)


async def test_polling_and_streams_do_not_keep_a_session_alive(world: BffCase) -> None:
    """Case 20: idle expiry under polling and an open live stream."""
    world.start(session_idle_s=240.0)
    async with await world.logged_in() as browser, world.browser() as other:
        other.copy_cookies_from(browser)
        stream = await other.stream("/reports/stream")
        assert stream.status_code == 200
        chunks = stream.aiter_text()
        assert "event: report" in await anext(chunks)
        ends = (await browser.api("/auth/session")).json()["idle_expires_at"]
        for _ in range(3):
            world.clock.ahead_s += 60.0
            assert (await browser.api("/reports/today")).status_code == 200
            assert (await browser.api("/reports", headers=BACKGROUND)).status_code == 200
            assert (await browser.api("/auth/session")).json()["idle_expires_at"] == ends
        world.clock.ahead_s += 60.0
        assert (await browser.api("/reports/today")).status_code == 401
        rest = "".join([text async for text in chunks])
        await stream.aclose()
    await eventually(lambda: world.reports.open_streams == 0)
    assert rest


async def test_a_live_stream_is_closed_at_the_idle_end_with_a_word_to_the_page(world: BffCase) -> None:
    """Case 20: nobody asks anything; the stream alone notices, and Keycloak's session is ended with ours."""
    world.start(session_idle_s=120.0)
    user = world.user("boris")
    before = {session["id"] for session in world.realm.admin.get_sessions(user.user_id)}
    async with await world.logged_in("boris") as browser:
        stream = await browser.stream("/reports/stream")
        chunks = stream.aiter_text()
        await anext(chunks)
        world.clock.ahead_s += 121.0
        rest = "".join([text async for text in chunks])
        assert rest.endswith("event: session-ended\ndata: {}\n\n")
        await stream.aclose()
    await eventually(lambda: {session["id"] for session in world.realm.admin.get_sessions(user.user_id)} <= before)
    await eventually(lambda: world.reports.open_streams == 0)


async def test_what_a_person_does_extends_the_session_up_to_its_absolute_end(world: BffCase) -> None:
    """Case 20: absolute expiry."""
    world.start(session_idle_s=60.0, session_absolute_s=130.0)
    async with await world.logged_in() as browser:
        for _ in range(2):
            world.clock.ahead_s += 50.0
            assert (await browser.api("/reports")).status_code == 200
        world.clock.ahead_s += 25.0
        assert (await browser.api("/auth/session", "POST")).json()["authenticated"] is True
        world.clock.ahead_s += 10.0
        assert (await browser.api("/reports")).status_code == 401


async def test_the_idle_end_moves_in_steps(world: BffCase) -> None:
    """A page asks for several things at once: what would move the end by less than a sixtieth of the idle time is not written."""
    world.start(session_idle_s=600.0)
    async with await world.logged_in() as browser:
        ends = [(await browser.api("/auth/session")).json()["idle_expires_at"]]
        for ahead_s in (9.0, 2.0):
            world.clock.ahead_s += ahead_s
            assert (await browser.api("/reports")).status_code == 200
            ends.append((await browser.api("/auth/session")).json()["idle_expires_at"])
        assert ends[0] == ends[1] < ends[2]


async def test_a_logout_at_one_instance_closes_the_streams_at_another(world: BffCase) -> None:
    """Case 20: ends by logout, seen through Redis."""
    first, second = world.start(), world.start()
    async with await world.logged_in(instance=first) as here, world.browser(second) as there:
        there.copy_cookies_from(here)
        stream = await there.stream("/reports/stream")
        chunks = stream.aiter_text()
        await anext(chunks)
        assert (await here.api("/auth/logout", "POST")).status_code == 200
        assert "session-ended" in "".join([text async for text in chunks])
        await stream.aclose()


async def test_a_stream_does_not_outlive_the_access_token_that_opened_it(world: BffCase) -> None:
    """A disabled user's live view ends within the life of an access token, though the stream itself never refreshes one."""
    world.start()
    world.gate.tamper = lambda answer: answer | {"expires_in": 2}
    async with await world.logged_in() as browser:
        stream = await browser.stream("/reports/stream")
        text = "".join([text async for text in stream.aiter_text()])
        assert "event: report" in text
        assert "session-ended" not in text
        await stream.aclose()
        assert (await browser.api("/auth/session")).json()["authenticated"] is True
    await eventually(lambda: world.reports.open_streams == 0)


async def test_streams_are_bounded(world: BffCase) -> None:
    world.start(streams=Share(total=10, each=2))
    async with await world.logged_in() as browser:
        streams = [await browser.stream("/reports/stream") for _ in range(3)]
        assert [stream.status_code for stream in streams] == [200, 200, 429]
        for stream in streams:
            await stream.aclose()
        # Closed streams free their places.
        await eventually(lambda: world.reports.open_streams == 0)
        again = await browser.stream("/reports/stream")
        assert again.status_code == 200
        await again.aclose()


async def test_a_user_has_a_bounded_number_of_sessions_and_the_oldest_goes(world: BffCase) -> None:
    world.start(sessions_per_user=2)
    browsers = [await world.logged_in("sofia") for _ in range(3)]
    alive = [(await browser.api("/auth/session")).json()["authenticated"] for browser in browsers]
    assert alive == [False, True, True]
    for browser in browsers:
        await browser.close()

"""Back-channel logout: what Keycloak says is done, what others say is not. Numbers are those of docs/security.md."""

from __future__ import annotations

import secrets
import time
from typing import Any
from urllib.parse import urlencode

import httpx

from bff.id_tokens import LOGOUT_EVENT
from tests.support.bff_browser import Browser
from tests.support.bff_case import BffCase


def claims(world: BffCase, **changes: Any) -> dict[str, Any]:
    """A right logout token's claims for the last session of anna, but for *changes*; None removes."""
    now = int(time.time())
    right = {
        "iss": world.realm.issuer,
        "aud": "bionicpro-bff",
        "iat": now,
        "exp": now + 60,
        "jti": secrets.token_hex(8),
        "sub": world.user("anna").user_id,
        "events": {LOGOUT_EVENT: {}},
    }
    return {name: value for name, value in (right | changes).items() if value is not None}


async def send(browser: Browser, token: str) -> httpx.Response:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    content = urlencode({"logout_token": token}).encode()
    return await browser.send(browser.request("POST", "/auth/backchannel-logout", headers=headers, content=content))


async def alive(browser: Browser) -> bool:
    return bool((await browser.api("/auth/session")).json()["authenticated"])


def newest_sid(world: BffCase) -> str:
    """Keycloak's session of the last login."""
    return str(world.realm.hands.claims_of(world.gate.id_tokens[-1])["sid"])


async def test_an_administrators_logout_at_keycloak_ends_the_session_and_its_streams(world: BffCase) -> None:
    """The real Keycloak sends the real logout token."""
    world.start()
    async with await world.logged_in("sofia") as browser, world.browser() as other:
        other.copy_cookies_from(browser)
        stream = await other.stream("/reports/stream")
        chunks = stream.aiter_text()
        await anext(chunks)
        world.realm.admin.user_logout(world.user("sofia").user_id)
        assert "session-ended" in "".join([text async for text in chunks])
        await stream.aclose()
        assert not await alive(browser)


async def test_a_refused_logout_token_leaves_the_session_alive(world: BffCase) -> None:
    """Case 18: unsigned, wrong algorithm, issuer, audience, no event, with nonce."""
    world.start()
    hands = world.realm.hands
    async with await world.logged_in() as browser:
        sid = newest_sid(world)
        forged = [
            hands.forge(claims(world, sid=sid), how) for how in ("none", "hs256-with-the-public-key", "signature", "foreign-key", "no-kid")
        ]
        wrong = [
            {"iss": "https://elsewhere.example"},
            {"iss": None},
            {"aud": "another"},
            {"aud": None},
            {"events": None},
            {"events": {}},
            {"events": {LOGOUT_EVENT: "yes"}},
            {"events": LOGOUT_EVENT},
            {"nonce": "n"},
            {"jti": None},
            {"sid": None, "sub": None},
            {"exp": int(time.time()) - 60},
            {"exp": None},
            {"iat": int(time.time()) - 3600},
            {"iat": None},
            {"iat": int(time.time()) + 3600},
        ]
        signed = [hands.sign(claims(world, **{"sid": sid, **changes})) for changes in wrong]
        async with world.browser() as stranger:
            for token in [*forged, *signed, "", "a.b.c", "eyJ.eyJ.", "é" * 10]:
                refused = await send(stranger, token)
                assert refused.status_code == 400, token
                assert refused.headers["cache-control"] == "no-store"
            assert (await stranger.send(stranger.request("POST", "/auth/backchannel-logout"))).status_code == 400
        assert await alive(browser)


async def test_a_stolen_id_token_is_no_logout_token(world: BffCase) -> None:
    """Case 18: signed by the realm and meant for us, but no logout token."""
    world.start()
    async with await world.logged_in() as browser:
        assert (await send(browser, world.gate.id_tokens[-1])).status_code == 400
        assert await alive(browser)


async def test_a_logout_token_works_once(world: BffCase) -> None:
    """Case 18: replayed after the person has logged in again."""
    world.start()
    async with await world.logged_in() as browser, world.browser() as stranger:
        token = world.realm.hands.sign(claims(world))
        assert (await send(stranger, token)).status_code == 200
        assert not await alive(browser)
        async with await world.logged_in() as again:
            assert (await send(stranger, token)).status_code == 400
            assert await alive(again)


async def test_a_logout_token_for_one_session_touches_no_other(world: BffCase) -> None:
    """Case 19: another session of the same person, and another person."""
    world.start()
    async with await world.logged_in("boris") as boris, await world.logged_in("anna") as first, await world.logged_in("anna") as second:
        sid = newest_sid(world)
        async with world.browser() as stranger:
            assert (await send(stranger, world.realm.hands.sign(claims(world, sid=secrets.token_hex(16))))).status_code == 200
            assert [await alive(browser) for browser in (first, second, boris)] == [True, True, True]
            # The sid of one with the subject of another names nobody.
            mixed = claims(world, sid=sid, sub=world.user("boris").user_id)
            assert (await send(stranger, world.realm.hands.sign(mixed))).status_code == 200
            assert [await alive(browser) for browser in (first, second, boris)] == [True, True, True]
            assert (await send(stranger, world.realm.hands.sign(claims(world, sid=sid)))).status_code == 200
            assert [await alive(browser) for browser in (first, second, boris)] == [True, False, True]


async def test_a_logout_token_for_a_person_ends_all_their_sessions_and_nobody_elses(world: BffCase) -> None:
    """Case 19, by subject."""
    world.start()
    async with await world.logged_in("anna") as first, await world.logged_in("anna") as second, await world.logged_in("boris") as boris:
        async with world.browser() as stranger:
            assert (await send(stranger, world.realm.hands.sign(claims(world)))).status_code == 200
        assert [await alive(browser) for browser in (first, second, boris)] == [False, False, True]


async def test_a_login_that_keycloak_ended_in_the_middle_gives_no_session(world: BffCase) -> None:
    """The logout token comes between the code's exchange and the session: it must not be lost."""
    world.start()
    # Keys are fetched through the gate that is held up below.
    await (await world.logged_in("boris")).close()
    ended: list[str] = []

    def end_first(answer: dict[str, Any]) -> dict[str, Any]:
        sid = str(world.realm.hands.claims_of(answer["id_token"])["sid"])
        token = world.realm.hands.sign(claims(world, sid=sid))
        httpx.post(f"{world.instances[0].url}/auth/backchannel-logout", data={"logout_token": token}, trust_env=False).raise_for_status()
        ended.append(sid)
        return answer

    world.gate.tamper = end_first
    user = world.user("anna")
    async with world.browser() as browser:
        assert (await browser.login(user.username, user.password)).status_code == 400
        assert ended
        assert browser.session_id is None

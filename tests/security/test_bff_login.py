"""Login against the real Keycloak: what a stranger, a thief of codes, or a forger of tokens can do. Numbers are those of docs/security.md."""

from __future__ import annotations

import re
import time
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit, urlunsplit

import httpx
import pytest
from redis import Redis

from bff.redis_client import PREFIX
from bff.settings import BffSettings
from tests.support.bff_browser import Browser
from tests.support.bff_case import CLIENT_SECRET, BffCase, Realm
from tests.support.endpoints import RedisEndpoint
from tests.support.waiting import PATIENCE_S


def changed(url: str, **parameters: str | None) -> str:
    """*url* with query parameters replaced, or removed where None."""
    parts = urlsplit(url)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()} | parameters
    return urlunsplit(parts._replace(query=urlencode({name: value for name, value in query.items() if value is not None})))


async def callback_of(world: BffCase, browser: Browser, login: str = "anna") -> str:
    user = world.user(login)
    return await browser.authenticate(await browser.begin_login(), user.username, user.password)


async def is_logged_in(browser: Browser) -> bool:
    return bool((await browser.api("/auth/session")).json()["authenticated"])


async def test_a_login_ends_at_the_page_that_was_asked_for_with_a_session(world: BffCase) -> None:
    world.start()
    async with world.browser() as browser:
        user = world.user("anna")
        response = await browser.login(user.username, user.password, "/days/2026-11-20?tab=hours")
        assert response.status_code == 303
        assert response.headers["location"] == "/days/2026-11-20?tab=hours"
        session = (await browser.api("/auth/session")).json()
        assert session["authenticated"] is True
        assert session["name"] == "Anna Test"
        assert session["roles"] == ["wearer"]


@pytest.mark.parametrize("change", [{"state": "A" * 43}, {"state": None}, {"state": ""}], ids=["foreign", "missing", "empty"])
async def test_a_callback_without_this_logins_state_gives_no_session(world: BffCase, change: dict[str, str | None]) -> None:
    """Case 1: foreign or missing state."""
    world.start()
    async with world.browser() as browser:
        response = await browser.finish_login(changed(await callback_of(world, browser), **change))
        assert response.status_code == 400
        assert browser.session_id is None
        assert not await is_logged_in(browser)


async def test_a_state_works_once(world: BffCase) -> None:
    """Case 1: replayed state, with a fresh code."""
    world.start()
    async with world.browser() as browser:
        first = await callback_of(world, browser)
        login_cookies = dict(browser.cookies)
        assert (await browser.finish_login(first)).status_code == 303
        code = parse_qs(urlsplit(await callback_of(world, browser)).query)["code"][0]
        browser.cookies = login_cookies
        assert (await browser.finish_login(changed(first, code=code))).status_code == 400
        assert browser.session_id is None


async def test_an_attackers_code_and_state_do_not_log_the_victim_in(world: BffCase) -> None:
    """Case 2: the attacker's valid callback opened in the victim's browser, also while the victim is logging in."""
    world.start()
    async with world.browser() as attacker, world.browser() as victim:
        planted = await callback_of(world, attacker, "boris")
        await victim.begin_login()
        response = await victim.finish_login(planted)
        assert response.status_code == 400
        assert not await is_logged_in(victim)
        # The attempt has not used the attacker's own login up: nobody can break a login by guessing or seeing its state.
        assert (await attacker.finish_login(planted)).status_code == 303


async def test_a_callback_cannot_be_replayed(world: BffCase) -> None:
    """Case 3: the same address again, in the same browser."""
    world.start()
    async with world.browser() as browser:
        callback = await callback_of(world, browser)
        login_cookies = dict(browser.cookies)
        assert (await browser.finish_login(callback)).status_code == 303
        browser.cookies = login_cookies
        assert (await browser.finish_login(callback)).status_code == 400
        assert browser.session_id is None


def forged(world: BffCase, **changes: Any) -> Any:
    """A change of the token answer: its ID token's claims, with *changes*, signed by a key that the realm publishes."""

    def tamper(answer: dict[str, Any]) -> dict[str, Any]:
        claims = world.realm.hands.claims_of(answer["id_token"]) | changes
        return answer | {"id_token": world.realm.hands.sign({name: value for name, value in claims.items() if value is not None})}

    return tamper


async def test_a_token_signed_by_another_published_key_is_accepted(world: BffCase) -> None:
    """The forgeries below fail for what they change, and not for how they are made."""
    world.start()
    world.gate.tamper = forged(world)
    async with world.browser() as browser:
        assert (await browser.finish_login(await callback_of(world, browser))).status_code == 303


WRONG_CLAIMS: tuple[dict[str, Any], ...] = (
    {"nonce": "another"},
    {"nonce": None},
    {"iss": "https://elsewhere.example/realms/x"},
    {"iss": None},
    {"aud": "another-client"},
    {"aud": None},
    {"aud": ["bionicpro-bff", "another"], "azp": "another"},
    {"exp": 1},
    {"exp": None},
    {"exp": "never"},
    {"exp": float("nan")},
    {"iat": 4_000_000_000},
    {"nbf": 4_000_000_000},
    {"sub": None},
    {"sub": ""},
    {"sub": 7},
    {"sid": None},
    {"typ": "Bearer"},
)


async def test_an_id_token_with_wrong_claims_gives_no_session(world: BffCase) -> None:
    """Cases 4 and 5: wrong nonce, issuer, audience, expiry, subject."""
    world.start()
    async with world.browser() as browser:
        for changes in WRONG_CLAIMS:
            world.gate.tamper = forged(world, **changes)
            response = await browser.finish_login(await callback_of(world, browser))
            assert response.status_code == 400, changes
            assert browser.session_id is None, changes


async def test_an_id_token_that_the_realm_did_not_sign_gives_no_session(world: BffCase) -> None:
    """Case 6: alg=none, HS256 with the public key, a bad signature."""
    world.start()
    hands = world.realm.hands
    async with world.browser() as browser:
        for forgery in ("none", "hs256-with-the-public-key", "signature", "foreign-key", "no-kid"):
            world.gate.tamper = lambda answer, forgery=forgery: (
                answer | {"id_token": hands.forge(hands.claims_of(answer["id_token"]), forgery)}
            )
            assert (await browser.finish_login(await callback_of(world, browser))).status_code == 400, forgery
            assert browser.session_id is None, forgery


@pytest.mark.parametrize("issuer", ["https://elsewhere.example/realms/bionicpro", None], ids=["another", "missing"])
async def test_a_callback_from_another_issuer_is_refused(world: BffCase, issuer: str | None) -> None:
    """Case 7: the mix-up defence of RFC 9207."""
    world.start()
    async with world.browser() as browser:
        assert (await browser.finish_login(changed(await callback_of(world, browser), iss=issuer))).status_code == 400
        assert browser.session_id is None


async def test_a_login_works_at_once_after_the_realms_keys_were_rotated(world: BffCase) -> None:
    """Case 8: key rotation."""
    world.start()
    await (await world.logged_in()).close()
    rotated = world.realm.rotate_keys()
    async with world.browser() as browser:
        callback = await callback_of(world, browser)
        assert (await browser.finish_login(callback)).status_code == 303
        assert world.realm.newest_kid() == rotated


async def test_a_flood_of_unknown_key_ids_fetches_the_keys_within_bounds(world: BffCase) -> None:
    """Case 8: made-up key ids, sent to the one endpoint that takes tokens from strangers."""
    world.start(key_refetch_cooldown_s=3600.0)
    claims = {"iss": world.realm.issuer}
    async with world.browser() as browser:
        for number in range(200):
            token = world.realm.hands.sign(claims, kid=f"made-up-{number}")
            assert (await send_logout_token(browser, token)).status_code == 400
    assert world.gate.key_fetches <= 1


async def send_logout_token(browser: Browser, token: str) -> httpx.Response:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    return await browser.send(
        browser.request("POST", "/auth/backchannel-logout", headers=headers, content=urlencode({"logout_token": token}).encode())
    )


FOREIGN_ADDRESSES = (
    *(
        "https://evil.example/",
        "//evil.example",
        "///evil.example",
        "https:evil.example",
        "javascript:alert(1)",
        "@evil.example",
        "evil.example",
    ),
    *(
        "http://127.0.0.1@evil.example",
        "/\\evil.example",
        "/%5cevil.example",
        "/%2f%2fevil.example",
        "/%252f/evil.example",
        "/..//evil.example",
    ),
    *("/@evil.example", "/／evil.example", "/\tevil", "/a\r\nSet-Cookie:x=1", "/ evil", "", "/auth/logout", "/reports/export.csv"),
)


async def test_a_login_never_leads_to_another_site(world: BffCase) -> None:
    """Case 9: schemes, //, /\\, control characters, encodings, userinfo, unicode."""
    world.start()
    async with world.browser() as browser:
        for address in FOREIGN_ADDRESSES:
            response = await browser.get(f"/auth/login?{urlencode({'return_to': address})}")
            assert response.status_code == 400, address
            assert "location" not in response.headers, address
        assert (await browser.get("/auth/login?return_to=/a&return_to=//evil.example")).status_code == 400


async def test_a_planted_session_id_is_replaced_at_login(world: BffCase) -> None:
    """Case 10: a session id that was there before login is not the one after it, and opens nothing."""
    world.start()
    planted = "P" * 43
    async with world.browser() as browser:
        browser.cookies["bionicpro-session"] = planted
        assert (await browser.finish_login(await callback_of(world, browser))).status_code == 303
        assert browser.session_id not in (None, planted)
        browser.cookies = {"bionicpro-session": planted}
        assert not await is_logged_in(browser)


async def test_a_second_login_ends_the_browsers_first_session(world: BffCase) -> None:
    """Case 10: a browser has one session."""
    world.start()
    async with world.browser() as browser, world.browser() as thief:
        await browser.finish_login(await callback_of(world, browser))
        thief.copy_cookies_from(browser)
        assert (await browser.finish_login(await callback_of(world, browser))).status_code == 303
        assert await is_logged_in(browser)
        assert not await is_logged_in(thief)


async def test_a_login_hint_only_fills_in_the_name(world: BffCase) -> None:
    world.start()
    async with world.browser() as browser:
        hinted = await browser.get("/auth/login?login_hint=anna.b")
        assert parse_qs(urlsplit(hinted.headers["location"]).query)["login_hint"] == ["anna.b"]
        refused = await browser.get("/auth/login?login_hint=" + quote('"><script>'))
        assert refused.status_code in (400, 422)


async def test_several_tabs_can_log_in_at_once(world: BffCase) -> None:
    world.start()
    user = world.user("anna")
    async with world.browser() as browser:
        begun = [await browser.begin_login(f"/days/{number}") for number in range(3)]
        for number, address in reversed(list(enumerate(begun))):
            response = await browser.finish_login(await browser.authenticate(address, user.username, user.password))
            assert response.headers.get("location") == f"/days/{number}"


async def test_abandoned_logins_do_not_pile_up_in_the_browser(world: BffCase) -> None:
    world.start()
    async with world.browser() as browser:
        for _ in range(30):
            await browser.begin_login()
        assert len(browser.cookies) <= 7


async def test_the_cookies_of_a_plain_http_demo_have_every_attribute_that_it_allows(world: BffCase) -> None:
    world.start()
    async with await world.logged_in() as browser:
        session = [header for header in browser.set_cookie_headers if header.startswith("bionicpro-session=")]
        logins = [header for header in browser.set_cookie_headers if header.startswith("bionicpro-login-")]
        assert session
        assert logins
        for header in session:
            assert {"httponly", "path=/", "samesite=strict"} <= attributes(header)
            assert "domain" not in header.lower()
        for header in logins:
            assert {"httponly", "path=/", "samesite=lax"} <= attributes(header)


def attributes(header: str) -> set[str]:
    return {part.strip().lower() for part in header.split(";")[1:]}


async def test_behind_tls_the_cookies_carry_the_host_prefix_and_responses_hsts(world: BffCase) -> None:
    instance = world.start(public_url="https://reports.example.org")
    async with Browser(instance.url, "https://reports.example.org") as browser:
        response = await browser.get("/auth/login")
        cookie = response.headers["set-cookie"]
        assert re.match(r"__Host-bionicpro-login-[0-9a-f]{16}=", cookie)
        assert {"secure", "httponly", "path=/", "samesite=lax"} <= attributes(cookie)
        assert "domain" not in cookie.lower()
        assert response.headers["strict-transport-security"].startswith("max-age=")


@pytest.mark.parametrize("before", ["many attempts", "none"])
async def test_attempts_of_one_test_count_for_no_other(world: BffCase, redis: RedisEndpoint, before: str) -> None:
    """Tests share Redis and the address: a BFF with the usual limits must find no attempts of an earlier test."""
    limit = BffSettings.model_fields["logins_per_minute"].default
    world.start(logins_per_minute=limit)
    async with world.browser() as browser:
        assert (await browser.get("/auth/login")).status_code == 303
    if before == "many attempts":
        with Redis.from_url(redis.url) as client:
            (counter,) = client.scan_iter(f"{PREFIX}:rate:logins:*")
            client.incrby(counter, limit)


async def test_logins_are_limited_for_an_address(world: BffCase) -> None:
    world.start(logins_per_minute=3, trusted_proxies=("127.0.0.1",))
    headers = {"x-forwarded-for": f"203.0.113.7, {time.time()}"}
    async with world.browser() as browser:
        answers = [(await browser.get("/auth/login", headers)).status_code for _ in range(5)]
        assert answers == [303, 303, 303, 429, 429]
        refused = await browser.get("/auth/login", headers)
        assert 1 <= int(refused.headers["retry-after"]) <= 60


class TestTheRealm:
    """The realm file, as the real Keycloak understood it."""

    async def test_no_password_grant(self, bff_realm: Realm) -> None:
        user = bff_realm.users["anna"]
        for client, secret in (("bionicpro-bff", CLIENT_SECRET), ("admin-cli", None), ("account-console", None)):
            form = {"grant_type": "password", "client_id": client, "username": user.username, "password": user.password}
            answer = await self.token(bff_realm, form | ({"client_secret": secret} if secret else {}))
            assert answer.status_code in {400, 401}, client
            assert answer.json()["error"] in {"unauthorized_client", "invalid_client"}, client

    async def test_no_implicit_flow(self, bff_realm: Realm) -> None:
        for response_type in ("token", "id_token", "code id_token"):
            location = (await self.authorize(bff_realm, response_type=response_type)).headers.get("location", "")
            assert "error=unauthorized_client" in location, response_type

    async def test_no_login_without_pkce_s256(self, bff_realm: Realm) -> None:
        missing = await self.authorize(bff_realm, code_challenge=None, code_challenge_method=None)
        plain = await self.authorize(bff_realm, code_challenge_method="plain")
        assert "error=invalid_request" in missing.headers["location"]
        assert "error=invalid_request" in plain.headers["location"]

    @pytest.mark.parametrize("suffix", ["/", "x", "?a=1", "/../callback", "#a"])
    async def test_the_redirect_address_must_be_exact(self, bff_realm: Realm, suffix: str) -> None:
        answer = await self.authorize(bff_realm, redirect_uri=f"{bff_realm.page}/auth/callback{suffix}")
        assert answer.status_code == 400
        assert "location" not in answer.headers

    async def test_access_tokens_are_for_the_reports_service_alone_and_short_lived(self, world: BffCase) -> None:
        world.start()
        async with await world.logged_in() as browser:
            await browser.api("/reports")
        claims = world.realm.hands.claims_of(world.reports.requests[-1]["token"])
        assert claims["aud"] == "reports-api"
        assert claims["sub"] == world.user("anna").user_id
        assert claims["exp"] - claims["iat"] <= 300
        assert claims["realm_access"]["roles"] == ["wearer"]

    async def test_passwords_cannot_be_guessed_for_long(self, world: BffCase) -> None:
        user = world.user("boris")
        world.start()
        try:
            async with world.browser() as browser:
                for _ in range(12):
                    with pytest.raises(Exception, match="HTTP 200"):
                        await browser.authenticate(await browser.begin_login(), user.username, "wrong-password-0")
                with pytest.raises(Exception, match="HTTP 200"):
                    await browser.authenticate(await browser.begin_login(), user.username, user.password)
        finally:
            world.realm.admin.clear_all_bruteforce_attempts()

    async def test_the_login_page_speaks_russian_and_english(self, bff_realm: Realm) -> None:
        english = await self.authorize(bff_realm, ui_locales="en")
        russian = await self.authorize(bff_realm, ui_locales="ru")
        assert 'lang="en"' in english.text
        assert 'lang="ru"' in russian.text

    @staticmethod
    async def authorize(realm: Realm, **changes: str | None) -> httpx.Response:
        parameters: dict[str, str | None] = {
            "response_type": "code",
            "client_id": "bionicpro-bff",
            "redirect_uri": f"{realm.page}/auth/callback",
            "scope": "openid",
            "state": "s",
            "nonce": "n",
            "code_challenge": "A" * 43,
            "code_challenge_method": "S256",
        }
        query = {name: value for name, value in (parameters | changes).items() if value is not None}
        async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE_S) as client:
            return await client.get(f"{realm.issuer}/protocol/openid-connect/auth", params=query)

    @staticmethod
    async def token(realm: Realm, form: dict[str, str]) -> httpx.Response:
        async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE_S) as client:
            return await client.post(f"{realm.issuer}/protocol/openid-connect/token", data=form)

"""What may pass through the BFF, from whom, and what comes back. Numbers are those of docs/security.md."""

from __future__ import annotations

import asyncio
import json
import random
import socket
from urllib.parse import urlsplit

import pytest
from redis import Redis
from structlog.testing import capture_logs

from bff.redis_client import PREFIX
from bff.sealing import new_identifier
from tests.support.bff_browser import CSRF, TOKEN
from tests.support.bff_case import BffCase
from tests.support.waiting import eventually

FOREIGN = (
    {},
    {"X-BionicPRO-CSRF": "0"},
    CSRF | {"Origin": "https://evil.example"},
    CSRF | {"Origin": "null"},
    CSRF | {"Sec-Fetch-Site": "cross-site"},
    CSRF | {"Sec-Fetch-Site": "same-site"},
)
CALLS = (("GET", "/reports"), ("GET", "/auth/session"), ("POST", "/auth/session"), ("POST", "/auth/logout"))


async def test_a_call_that_does_not_come_from_the_page_is_refused(world: BffCase) -> None:
    """Case 11: the API without the header, GET or POST, or from another origin."""
    world.start()
    async with await world.logged_in() as browser:
        for method, path in CALLS:
            for headers in FOREIGN:
                with capture_logs() as records:
                    response = await browser.send(browser.request(method, path, headers=headers))
                assert response.status_code == 403, (method, path, headers)
                assert response.headers["content-type"] == "application/problem+json"
                assert any(record["event"] == "request_refused" and record["kind"] == "csrf" for record in records)
        assert (await browser.api("/auth/session", headers={"Origin": world.realm.page})).json()["authenticated"] is True
    assert world.reports.requests == []


async def test_a_foreign_preflight_gets_no_grant(world: BffCase) -> None:
    """Case 11: no CORS header, whoever asks."""
    world.start()
    headers = {
        "Origin": "https://evil.example",
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "x-bionicpro-csrf",
    }
    async with world.browser() as browser:
        for path in ("/reports", "/auth/session", "/auth/logout", "/auth/login", "/"):
            response = await browser.send(browser.request("OPTIONS", path, headers=headers))
            assert response.status_code >= 400, path
            assert not [name for name in response.headers if name.startswith("access-control-")], path


async def test_logout_by_a_link_or_a_foreign_form_is_refused_and_twice_is_no_error(world: BffCase) -> None:
    """Case 12."""
    world.start()
    async with await world.logged_in() as browser:
        assert (await browser.get("/auth/logout")).status_code in {404, 405}
        foreign = {"Content-Type": "application/x-www-form-urlencoded", "Origin": "https://evil.example"}
        assert (await browser.send(browser.request("POST", "/auth/logout", headers=foreign, content=b"a=1"))).status_code == 403
        assert (await browser.api("/auth/session")).json()["authenticated"] is True
        for _ in range(2):
            response = await browser.api("/auth/logout", "POST")
            assert response.status_code == 200
            assert response.json() == {"logged_out": True, "single_sign_on_ended": True}
        assert (await browser.api("/auth/session")).json() == {"authenticated": False}


async def test_logout_ends_keycloaks_session_too(world: BffCase) -> None:
    """Whoever logs out on a shared computer is asked for the password again."""
    world.start()
    user = world.user("anna")
    before = {session["id"] for session in world.realm.admin.get_sessions(user.user_id)}
    async with await world.logged_in() as browser:
        assert {session["id"] for session in world.realm.admin.get_sessions(user.user_id)} > before
        await browser.api("/auth/logout", "POST")
        assert {session["id"] for session in world.realm.admin.get_sessions(user.user_id)} == before
        with pytest.raises(Exception, match="HTTP 200"):
            await browser.authenticate(await browser.begin_login(), user.username, "not-the-password")


async def test_a_copied_cookie_is_worth_nothing_after_logout(world: BffCase) -> None:
    """Case 13."""
    world.start()
    async with await world.logged_in() as browser, world.browser() as thief:
        thief.copy_cookies_from(browser)
        assert (await thief.api("/reports")).status_code == 200
        await browser.api("/auth/logout", "POST")
        for path in ("/reports", "/reports/today", "/reports/stream"):
            refused = await thief.api(path)
            assert refused.status_code == 401
            assert refused.json()["login_url"] == "/auth/login"


async def test_a_slow_request_does_not_revive_a_session_that_was_logged_out_meanwhile(world: BffCase) -> None:
    """Case 14, with the refresh and the idle extension of the slow request still to come when the logout happens."""
    world.start()
    async with await world.logged_in() as browser, world.browser() as other_tab:
        other_tab.copy_cookies_from(browser)
        world.clock.ahead_s = 290.0
        world.gate.delay_s = 1.0
        slow = asyncio.create_task(other_tab.api("/reports"))
        await eventually(lambda: "refresh_token" in world.gate.grants)
        assert (await browser.api("/auth/logout", "POST")).status_code == 200
        answer = await slow
        assert answer.status_code == 401
        assert (await other_tab.api("/reports")).status_code == 401
        assert (await other_tab.api("/auth/session")).json() == {"authenticated": False}


OF_BORIS = (
    *("/reports/{boris}", "/reports/{boris}/today", "/users/{boris}/reports", "/users/{boris}"),
    *("/reports?user_id={boris}", "/reports?sub={boris}", "/reports/today?USER_ID={boris}", "/reports/export.csv?customer_id={boris}"),
)


async def test_nobody_gets_anothers_reports_by_path_or_query(world: BffCase) -> None:
    """Case 21: refused and audited; the reports service is not even asked."""
    world.start()
    async with await world.logged_in("anna") as browser:
        for path in OF_BORIS:
            with capture_logs() as records:
                response = await browser.api(path.format(boris=world.user("boris").user_id))
            assert response.status_code in {403, 404}, path
            refused = [record for record in records if record["event"] == "request_refused"]
            assert [record["subject"] for record in refused] == [world.user("anna").user_id], path
    assert world.reports.requests == []


async def test_nobody_gets_anothers_reports_by_body_or_header(world: BffCase) -> None:
    """Cases 21 and 24: what a request says about identity, or about where it comes from, is not believed and not passed on."""
    world.start()
    boris = world.user("boris").user_id
    async with await world.logged_in("anna") as browser:
        body = json.dumps({"user_id": boris}).encode()
        refused = await browser.send(browser.request("GET", "/reports", headers=CSRF, content=body))
        assert refused.status_code == 400
        assert world.reports.requests == []
        names = (
            "X-User-Id",
            "X-Forwarded-User",
            "X-Forwarded-For",
            "X-Forwarded-Host",
            "X-Forwarded-Proto",
            "Forwarded",
            "X-Original-URL",
            "X-Rewrite-URL",
        )
        spoofed = dict.fromkeys(names, boris) | {"Authorization": "Bearer somebody-elses", "X-HTTP-Method-Override": "DELETE"}
        answer = await browser.api("/reports?from=2026-11-01", headers=spoofed)
        assert answer.json()["user_id"] == world.user("anna").user_id
    asked = world.reports.requests[-1]
    assert asked["path"] == f"/reports/{world.user('anna').user_id}"
    assert boris not in json.dumps(asked["headers"])
    assert world.realm.hands.claims_of(asked["token"])["sub"] == world.user("anna").user_id
    assert "cookie" not in asked["headers"]


async def test_spoofed_forwarding_headers_do_not_change_where_a_login_returns(world: BffCase) -> None:
    """Case 24: the redirect address is the configured one."""
    world.start()
    async with world.browser() as browser:
        response = await browser.get(
            "/auth/login", {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https", "Forwarded": "host=evil.example"}
        )
        assert response.status_code == 303
        assert "evil.example" not in response.headers["location"]


async def test_another_host_name_is_not_served(world: BffCase) -> None:
    """Case 24: a page whose name was pointed at this address (DNS rebinding) gets nothing."""
    world.start()
    async with await world.logged_in() as browser:
        for path in ("/auth/session", "/reports", "/auth/login"):
            assert (await browser.api(path, headers={"Host": "evil.example"})).status_code == 421
        navigation = await browser.get("/days", {"Host": "evil.example", "Sec-Fetch-Mode": "navigate"})
        assert navigation.headers["location"] == f"{world.realm.page}/days"


async def test_support_reaches_anyones_reports_and_every_access_is_audited(world: BffCase) -> None:
    world.start()
    boris = world.user("boris").user_id
    async with await world.logged_in("sofia") as browser:
        assert (await browser.api(f"/users/{boris}/visit", "POST", json={"reason": "asks for help"})).status_code == 200
        with capture_logs() as records:
            answer = await browser.api(f"/users/{boris}/reports/today")
        assert answer.json()["path"] == f"/users/{boris}/today"
        assert world.reports.requests[-1]["headers"]["bionicpro-reason"] == "asks%20for%20help"
    access = next(record for record in records if record["event"] == "support_access")
    assert access["subject"] == world.user("sofia").user_id
    assert access["of"] == boris


TARGETS = [
    *(
        "/reports/../admin",
        "/reports/..%2fadmin",
        "/reports/%2e%2e/admin",
        "/reports//today",
        "//evil.example/reports",
        "/reports/%2ftoday",
    ),
    *(
        "/reports/today%00",
        "/reports/today/",
        "/reports;x=1",
        "/reports/today;x",
        "/reports%2ftoday",
        "/reports/hours/2026-11-20%2f..",
        "/reports/stream/x",
    ),
    *(
        "/reports/hours/..",
        "/reports/export.csv%0d%0aX: y",
        "/reports/hours/２０２６-11-20",
        "/reports/..;/admin",
        "/reports\\today",
        "/reports/metrics",
    ),
    *(
        "http://evil.example/reports",
        "http://127.0.0.1:1/reports/today",
        "/users/../reports",
        "/users/%2e%2e/reports",
        "/internal",
        "/metrics",
    ),
]


@pytest.mark.parametrize("role", ["anna", "sofia"])
async def test_no_target_leads_outside_the_allow_list(world: BffCase, role: str) -> None:
    """Case 23: .., //host, %2f, %00, absolute forms, written onto the wire as they are."""
    instance = world.start()
    async with await world.logged_in(role) as browser:
        for target in TARGETS:
            status = await asyncio.to_thread(raw_status, instance.served.port, target, world.realm.page, browser.cookies)
            assert status in {400, 404, 421}, target
        assert (await browser.api("/reports/today")).status_code == 200
    assert {asked["path"] for asked in world.reports.requests} == {f"/reports/{world.user(role).user_id}/today"}


def raw_status(port: int, target: str, page: str, cookies: dict[str, str]) -> int:
    """The status of a request whose target no client library has tidied."""
    cookie = "; ".join(f"{name}={value}" for name, value in cookies.items())
    head = f"GET {target} HTTP/1.1\r\nHost: {urlsplit(page).netloc}\r\nCookie: {cookie}\r\nX-BionicPRO-CSRF: 1\r\nAccept: application/json\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(head.encode())
        answer = b""
        while b"\r\n" not in answer and (received := connection.recv(4096)):
            answer += received
    return int(answer.split(b" ", 2)[1])


async def test_only_get_passes_to_the_reports_service(world: BffCase) -> None:
    """Case 23: methods."""
    world.start()
    async with await world.logged_in() as browser:
        for method in ("POST", "PUT", "PATCH", "DELETE", "HEAD", "TRACE", "CONNECT", "SPY"):
            assert (await browser.api("/reports", method)).status_code in {400, 405}, method
    assert world.reports.requests == []


async def test_only_harmless_headers_pass_in_either_direction(world: BffCase) -> None:
    """Hop-by-hop headers and everything else that is not listed are dropped."""
    world.start()
    async with await world.logged_in() as browser:
        sent = {"If-None-Match": '"v0"', "Accept-Language": "ru", "TE": "trailers", "X-Debug": "1", "Upgrade": "h2c"}
        answer = await browser.api("/reports/today", headers=sent)
        assert answer.headers["etag"] == '"v1"'
        assert "x-internal" not in answer.headers
        assert "planted" not in browser.cookies
    passed = world.reports.requests[-1]["headers"]
    assert passed["if-none-match"] == '"v0"'
    assert passed["accept-language"] == "ru"
    assert not {"te", "x-debug", "upgrade", "cookie", "x-bionicpro-csrf"} & set(passed)


async def test_every_response_carries_the_security_headers(world: BffCase) -> None:
    world.start()
    async with await world.logged_in() as browser:
        paths = (
            "/",
            "/nowhere",
            "/auth/login",
            "/auth/callback",
            "/auth/session",
            "/reports",
            "/reports/nothing",
            "/health/live",
            "/auth/page.css",
        )
        for response in [await browser.api(path) for path in paths]:
            headers = response.headers
            assert "script-src 'self'" in headers["content-security-policy"]
            assert "frame-ancestors 'none'" in headers["content-security-policy"]
            assert "unsafe" not in headers["content-security-policy"]
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "no-referrer"
            assert "cache-control" in headers
            assert "server" not in headers
        for path in ("/auth/session", "/reports", "/auth/login"):
            assert (await browser.api(path)).headers["cache-control"] == "no-store"


async def test_no_token_appears_in_a_response_a_cookie_the_store_or_a_log(world: BffCase, capfd: pytest.CaptureFixture[str]) -> None:
    """Case 25: anything like ``eyJ``, and the session id in store and log."""
    world.start()
    with capture_logs() as records:
        async with await world.logged_in() as browser:
            world.clock.ahead_s = 290.0
            bodies = [
                (await browser.api(path))
                for path in ("/auth/session", "/reports", "/reports/today", "/reports/nothing", "/reports?bad=1", "/")
            ]
            store = stored(world)
            session_id = browser.session_id
            assert session_id
            bodies.append(await browser.api("/auth/logout", "POST"))
            seen = "".join(f"{body.headers} {body.text}" for body in bodies) + "".join(browser.set_cookie_headers)
    assert world.gate.grants[-1] == "refresh_token"
    printed = "".join(capfd.readouterr()) + repr(records)
    for name, text in (("responses", seen), ("store", store), ("log", printed)):
        assert not TOKEN.search(text), name
    assert session_id not in store
    assert session_id not in printed
    assert "login_succeeded" in printed


def stored(world: BffCase) -> str:
    """Everything that Redis holds, keys and values."""
    client = Redis.from_url(world.redis.url, decode_responses=True, protocol=2)
    parts: list[str] = []
    for key in client.scan_iter("*"):
        kind = client.type(key)
        read = {"hash": client.hgetall, "string": client.get, "zset": lambda key: client.zrange(key, 0, -1)}[str(kind)]
        parts.append(f"{key} {read(key)!r}")
    client.close()
    assert any(":session:" in part for part in parts)
    return "\n".join(parts)


async def test_two_users_interleaved_calls_never_mix(world: BffCase) -> None:
    """Case 26: 1,000 calls of two users in random order, 20 at a time, over two instances, with refreshes in between."""
    first, second = world.start(), world.start()
    world.gate.tamper = lambda answer: answer | {"expires_in": 2}
    rng = random.Random(26)
    async with await world.logged_in("anna", first) as anna, await world.logged_in("boris", second) as boris:
        gate = asyncio.Semaphore(20)

        async def call() -> tuple[str, str]:
            login, browser = ("anna", anna) if rng.random() < 0.5 else ("boris", boris)
            async with gate:
                answer = await browser.api(rng.choice(("/reports", "/reports/today", "/reports/summary")))
            assert answer.status_code == 200, answer.text
            return world.user(login).user_id, answer.json()["user_id"]

        pairs = await asyncio.gather(*(call() for _ in range(1000)))
    assert len(pairs) == 1000
    assert all(asked == answered for asked, answered in pairs)
    assert "refresh_token" in world.gate.grants
    for asked in world.reports.requests:
        assert world.realm.hands.claims_of(asked["token"])["sub"] == asked["path"].split("/")[2]


async def test_oversized_heads_bodies_and_queries_get_problem_details(world: BffCase) -> None:
    """Case 29."""
    world.start()
    async with await world.logged_in() as browser:
        head = await browser.api("/reports", headers={"X-Long": "a" * 20_000})
        assert (head.status_code, head.headers["content-type"]) == (431, "application/problem+json")
        query = await browser.api(f"/reports?cursor={'a' * 5_000}")
        assert (query.status_code, query.headers["content-type"]) == (400, "application/problem+json")
        unknown = await browser.api("/reports?from=2026-11-01&drop=table")
        assert unknown.status_code == 400
        body = await browser.send(browser.request("POST", "/auth/backchannel-logout", content=b"logout_token=" + b"a" * 1_000_000))
        assert body.status_code == 413
        assert (await browser.send(browser.request("POST", "/auth/logout", headers=CSRF, content=b"a" * 100))).status_code == 400
    assert world.reports.requests == []


async def test_a_person_who_calls_too_often_is_told_to_wait_in_every_session_and_others_are_not(world: BffCase) -> None:
    world.start(requests_per_minute=5)
    async with await world.logged_in() as browser, await world.logged_in() as second, await world.logged_in("boris") as other:
        answers = [await browser.api("/reports/today") for _ in range(7)]
        assert (await other.api("/reports/today")).status_code == 200
        assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 2
        assert (await second.api("/reports/today")).status_code == 429
        assert int(answers[-1].headers["retry-after"]) >= 1


async def test_invented_cookies_are_not_counted_in_the_store(world: BffCase) -> None:
    """A flood of them would fill it with counters."""
    world.start()
    counters = f"{PREFIX}:rate:requests:*"
    async with world.browser() as browser, await world.logged_in() as known:
        assert (await known.api("/reports/today")).status_code == 200
        with Redis.from_url(world.redis.url, decode_responses=True, protocol=2) as client:
            before = set(client.scan_iter(counters))
            for _ in range(3):
                browser.cookies = {"bionicpro-session": new_identifier()}
                assert (await browser.api("/reports/today")).status_code == 401
            assert before
            assert set(client.scan_iter(counters)) <= before

"""Keycloak, Redis or the reports service is down: a clear answer in time, nothing leaked, and recovery without help. Numbers: docs/security.md."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.support.bff_browser import TOKEN, Browser
from tests.support.bff_case import BffCase
from tests.support.bff_servers import Served, free_port
from tests.support.waiting import PATIENCE_S, eventually

EXPIRING_S = 290.0
EXPIRED_S = 301.0


def is_unavailable(response: httpx.Response) -> bool:
    """503 that says when to try again, as problem details, and gives nothing of the inside away."""
    assert response.status_code == 503, response.text
    assert int(response.headers["retry-after"]) > 0
    assert response.headers["content-type"] == "application/problem+json"
    return not any(word in response.text for word in ("Traceback", "127.0.0.1", "redis", "Redis", "httpx"))


async def test_keycloak_down_at_login_shows_a_page_and_recovers(world: BffCase) -> None:
    """Case 27: the browser is not sent to a server that does not answer."""
    world.start()
    async with world.browser() as browser:
        world.gate.server.stop()
        try:
            for language, words in (("ru", "Попробуйте ещё раз".lower()), ("en", "try again")):
                response = await browser.get("/auth/login", {"Accept-Language": language})
                assert response.status_code == 503
                assert int(response.headers["retry-after"]) > 0
                assert response.headers["content-type"].startswith("text/html")
                assert words in response.text.lower()
        finally:
            world.gate.server.start()
        user = world.user("anna")
        assert (await browser.login(user.username, user.password)).status_code == 303


async def test_keycloak_down_at_the_callback_shows_a_page_and_gives_no_session(world: BffCase) -> None:
    """Case 27."""
    world.start()
    user = world.user("anna")
    async with world.browser() as browser:
        callback = await browser.authenticate(await browser.begin_login(), user.username, user.password)
        world.gate.status = 503
        response = await browser.finish_login(callback)
        assert response.status_code == 503
        assert response.headers["content-type"].startswith("text/html")
        assert browser.session_id is None


async def test_keycloak_down_at_refresh_uses_the_token_while_it_lasts_then_503_and_the_session_lives(world: BffCase) -> None:
    """Case 27."""
    world.start()
    async with await world.logged_in() as browser:
        world.gate.status = 503
        world.clock.ahead_s += EXPIRING_S
        assert (await browser.api("/reports/today")).status_code == 200
        world.clock.ahead_s += EXPIRED_S - EXPIRING_S
        assert is_unavailable(await browser.api("/reports/today"))
        assert (await browser.api("/auth/session")).json()["authenticated"] is True
        world.gate.status = None
        assert (await browser.api("/reports/today")).status_code == 200


async def test_a_token_that_expires_on_the_way_while_keycloak_is_down_is_an_outage_and_no_failure(world: BffCase) -> None:
    """The last moments of a token are used while Keycloak is away; a slow way to the service can be too long for them."""
    world.start()
    async with await world.logged_in() as browser:
        world.gate.status = 503
        world.clock.ahead_s += EXPIRING_S
        world.reports.status, world.reports.delay_s = 401, 0.5
        waiting = asyncio.create_task(browser.api("/reports/today"))
        await eventually(lambda: bool(world.reports.requests))
        world.clock.ahead_s += EXPIRED_S - EXPIRING_S
        assert is_unavailable(await waiting)
        assert (await browser.api("/auth/session")).json()["authenticated"] is True


async def test_a_keycloak_that_hangs_at_refresh_holds_nobody_beyond_the_deadline(world: BffCase) -> None:
    """Case 27: 10 requests wait for one refresh, and all are told within the deadline."""
    world.start(identity_deadline_s=6.0, request_deadline_s=15.0)
    async with await world.logged_in() as browser:
        world.clock.ahead_s += EXPIRED_S
        world.gate.delay_s = 30.0
        answers = await asyncio.wait_for(asyncio.gather(*(browser.api("/reports/today") for _ in range(10))), timeout=PATIENCE_S)
        assert all(is_unavailable(answer) for answer in answers)
        world.gate.delay_s = 0.0
        assert (await browser.api("/reports/today")).status_code == 200


async def test_keycloak_refusing_this_client_is_an_outage_and_not_the_persons_fault(world: BffCase) -> None:
    """A rotated client secret must not log everybody out."""
    world.start()
    async with await world.logged_in() as browser:
        world.clock.ahead_s += EXPIRED_S
        world.gate.status = 401
        assert is_unavailable(await browser.api("/reports/today"))
        world.gate.status = None
        assert (await browser.api("/reports/today")).status_code == 200


async def test_logout_with_keycloak_down_ends_the_session_here_and_keycloaks_later(world: BffCase) -> None:
    """Case 27."""
    world.start()
    user = world.user("boris")
    before = {session["id"] for session in world.realm.admin.get_sessions(user.user_id)}
    async with await world.logged_in("boris") as browser, world.browser() as thief:
        thief.copy_cookies_from(browser)
        world.gate.status = 503
        answer = await browser.api("/auth/logout", "POST")
        assert answer.json() == {"logged_out": True, "single_sign_on_ended": False}
        assert (await thief.api("/reports")).status_code == 401
        world.gate.status = None
        await eventually(lambda: {session["id"] for session in world.realm.admin.get_sessions(user.user_id)} <= before)


@pytest.mark.parametrize("fault", ["refused", "silent"])
async def test_redis_down_answers_503_in_time_and_recovers_with_sessions_whole(world: BffCase, fault: str) -> None:
    """Case 27: Redis refuses connections, or accepts and says nothing."""
    world.start(redis_deadline_s=1.0)
    async with await world.logged_in() as browser:
        assert (await browser.api("/reports")).status_code == 200
        state = parse_qs(urlsplit(await browser.begin_login()).query)["state"][0]
        if fault == "refused":
            world.redis_gate.refuse()
        else:
            world.redis_gate.stall()
            world.redis_gate.cut()
        calls = (("GET", "/reports"), ("GET", "/auth/session"), ("POST", "/auth/logout"), ("GET", "/reports/stream"))
        for method, path in calls:
            assert is_unavailable(await browser.api(path, method)), path
        for path in ("/auth/login", f"/auth/callback?state={state}"):
            page = await browser.get(path)
            assert page.status_code == 503
            assert page.headers["content-type"].startswith("text/html")
        ready = await browser.get("/health/ready")
        assert (ready.status_code, ready.json()["components"]["redis"]) == (503, "down")
        assert (await browser.get("/health/live")).status_code == 200
        assert browser.session_id is not None
        world.redis_gate.refuse()
        world.redis_gate.open()
        assert (await browser.api("/reports")).status_code == 200


async def test_live_streams_end_when_redis_cannot_say_that_their_session_lives(world: BffCase) -> None:
    """A stream fails closed, after a while, so that a blink of Redis cuts nobody off."""
    world.start()
    async with await world.logged_in() as browser:
        stream = await browser.stream("/reports/stream")
        chunks = stream.aiter_text()
        await anext(chunks)
        world.redis_gate.refuse()
        await asyncio.sleep(0.5)
        assert "report" in await anext(chunks)
        world.clock.ahead_s += 20.0
        async for _ in chunks:
            pass
        await stream.aclose()
        world.redis_gate.open()
        assert (await browser.api("/auth/session")).json()["authenticated"] is True


async def test_the_reports_service_down_or_failing_is_told_apart_from_the_persons_errors(world: BffCase) -> None:
    """Case 27."""
    world.start(upstream_connect_s=0.5)
    async with await world.logged_in() as browser:
        for status, expected in ((503, 503), (504, 503), (500, 502), (401, 502), (302, 502)):
            world.reports.status = status
            answer = await browser.api("/reports")
            assert answer.status_code == expected, status
            assert answer.headers["content-type"] == "application/problem+json"
            assert "location" not in answer.headers
        for status in (304, 404, 422, 429):
            world.reports.status = status
            assert (await browser.api("/reports")).status_code == status
        world.reports.status = 200
        world.reports.server.stop()
        try:
            assert is_unavailable(await browser.api("/reports"))
            assert is_unavailable(await browser.api("/reports/stream"))
        finally:
            world.reports.server.start()
        assert (await browser.api("/reports")).status_code == 200


async def test_a_reports_service_that_hangs_holds_nobody_beyond_the_deadline(world: BffCase) -> None:
    """Case 27."""
    world.start()
    hasty = world.start(identity_deadline_s=0.5, request_deadline_s=1.0)  # no login takes so little on a busy machine
    async with await world.logged_in() as browser, world.browser(hasty) as other:
        other.copy_cookies_from(browser)
        world.reports.delay_s = 20.0
        assert is_unavailable(await other.api("/reports"))


async def test_an_answer_that_breaks_off_never_looks_whole(world: BffCase) -> None:
    """An export cut in the middle must fail in the browser, too."""
    app = Breaking()
    upstream = Served(app).start()
    try:
        world.start(reports_url=upstream.url)
        async with await world.logged_in() as browser:
            with pytest.raises(httpx.RemoteProtocolError):
                await browser.api("/reports/export.csv")
    finally:
        upstream.stop()


class Breaking:
    """A service that promises a thousand bytes and dies after seven."""

    async def __call__(self, scope: dict[str, object], receive: object, send: object) -> None:
        assert callable(send)
        if scope["type"] == "http":
            await send(
                {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1000"), (b"content-type", b"text/csv")]}
            )
            await send({"type": "http.response.body", "body": b"a,b\n1,2", "more_body": True})


def environment(world: BffCase, port: int, **changes: str) -> dict[str, str]:
    settings = world.settings(port)
    own = settings.bff
    variables = {
        "BIONICPRO_BFF__PORT": str(port),
        "BIONICPRO_BFF__PUBLIC_URL": own.public_url,
        "BIONICPRO_BFF__REPORTS_URL": own.reports_url,
        "BIONICPRO_BFF__CLIENT_SECRET": own.client_secret.get_secret_value(),
        "BIONICPRO_REDIS__URL": settings.redis.url.get_secret_value(),
        "BIONICPRO_KEYCLOAK__BASE_URL": settings.keycloak.base_url,
        "BIONICPRO_KEYCLOAK__PUBLIC_URL": settings.keycloak.public_url,
        "BIONICPRO_KEYCLOAK__REALM": settings.keycloak.realm,
    }
    return {"PATH": os.environ["PATH"]} | variables | changes


async def test_an_issuer_that_is_not_the_configured_one_refuses_to_start(world: BffCase) -> None:
    """Case 7: discovery speaks for another issuer."""
    port = free_port()
    variables = environment(world, port, BIONICPRO_KEYCLOAK__PUBLIC_URL="https://login.example.org")
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "bff", env=variables, stderr=subprocess.PIPE)
    complaint = (await asyncio.wait_for(process.communicate(), timeout=PATIENCE_S))[1].decode()
    assert process.returncode == 78
    assert "BIONICPRO_KEYCLOAK__PUBLIC_URL" in complaint


async def test_the_process_starts_without_keycloak_and_redis_and_serves_when_they_come(world: BffCase) -> None:
    """Case 27: Keycloak down at start. The real process; its log holds no token, no code and no state (case 25)."""
    port = int(world.realm.page.rsplit(":", 1)[1])
    world.gate.server.stop()
    world.redis_gate.refuse()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bff", env=environment(world, port), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    user = world.user("anna")
    try:
        async with Browser(world.realm.page) as browser:
            assert await answers(browser, "/health/live") == 200
            assert (await browser.get("/auth/login")).status_code == 503
            world.gate.server.start()
            world.redis_gate.open()
            assert await answers(browser, "/health/ready") == 200
            callback = await browser.authenticate(await browser.begin_login(), user.username, user.password)
            assert (await browser.finish_login(callback)).status_code == 303
            assert (await browser.api("/reports/today")).status_code == 200
            session_id = browser.session_id or ""
    finally:
        process.terminate()
        output = (await asyncio.wait_for(process.communicate(), timeout=PATIENCE_S))[0].decode()
        if world.gate.server.stopped:
            world.gate.server.start()
    assert '"event": "login_succeeded"' in output
    assert not TOKEN.search(output)
    for secret in (session_id, callback.split("code=")[1].split("&")[0], callback.split("state=")[1].split("&")[0]):
        assert secret
        assert secret not in output


async def answers(browser: Browser, path: str) -> int:
    """The status of *path*, once something listens and it is 200."""
    until = time.monotonic() + 40
    while True:
        try:
            status = (await browser.get(path)).status_code
        except httpx.ConnectError:
            status = 0
        if status == 200 or time.monotonic() > until:
            return status
        await asyncio.sleep(0.1)

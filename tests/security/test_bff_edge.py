"""The outermost layer of the BFF: what comes in on the wire, and that every answer is one of ours. Numbers are those of docs/security.md."""

from __future__ import annotations

import asyncio
import base64
import socket
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from redis import Redis
from structlog.testing import capture_logs

from bff.rate_limits import counters_of
from service_kit.shares import Share
from tests.support.bff_browser import LoginRefusedError
from tests.support.bff_case import BffCase, Instance
from tests.support.raw_http import RawAnswer, exchange, exchanged, request
from tests.support.waiting import eventually

CSRF = b"X-BionicPRO-CSRF: 1"
BEHIND_A_PROXY = {"trusted_proxies": ("127.0.0.1",)}


def host(world: BffCase) -> str:
    return urlsplit(world.realm.page).netloc


async def ask(world: BffCase, instance: Instance, target: str, *lines: bytes, method: str = "GET", body: bytes = b"") -> RawAnswer:
    return await exchange(instance.served.port, request(target, host(world), *lines, method=method, body=body))


def is_ours(answer: RawAnswer) -> bool:
    """Whether *answer* has the headers of every answer, and problem details or a page where it is an error."""
    headers = answer.headers
    assert "frame-ancestors 'none'" in headers["content-security-policy"], answer
    assert headers["x-content-type-options"] == "nosniff", answer
    assert len(headers["x-request-id"]) == 16, answer
    assert headers["cache-control"], answer
    if answer.status >= 400 and not headers["content-type"].startswith("text/html"):
        assert answer.problem["status"] == answer.status
        assert answer.problem["instance"].endswith(headers["x-request-id"])
    return True


# Case 31: planted cookies


@pytest.mark.parametrize("before", [b"\xa0", b"\x85", b"\xe2\x80\x80", b'"', b"\xc2\xa0", b"\xef\xbb\xbf"])
async def test_a_cookie_whose_name_only_looks_like_ours_is_not_ours(world: BffCase, before: bytes) -> None:
    """A sibling site may set such a name; the person who has it would act in the attacker's account."""
    instance = world.start()
    async with await world.logged_in("boris") as attacker:
        planted = b"Cookie: " + before + f"bionicpro-session={attacker.session_id}".encode()
        refused = await ask(world, instance, "/reports", planted, CSRF)
        assert refused.problem["type"].endswith(":ambiguous-cookies")
        assert refused.headers["clear-site-data"] == '"cookies"'
        assert is_ours(refused)
        assert (await ask(world, instance, "/auth/session", planted, CSRF)).status == 400
    assert world.reports.requests == []


async def test_two_cookies_of_our_name_are_refused_in_either_order(world: BffCase) -> None:
    instance = world.start()
    async with await world.logged_in("anna") as anna, await world.logged_in("boris") as boris:
        for first, second in ((anna, boris), (boris, anna)):
            pair = [f"bionicpro-session={browser.session_id}" for browser in (first, second)]
            one_line = f"Cookie: {'; '.join(pair)}".encode()
            two_lines = [f"Cookie: {cookie}".encode() for cookie in pair]
            assert (await ask(world, instance, "/reports", one_line, CSRF)).status == 400
            assert (await ask(world, instance, "/reports", *two_lines, CSRF)).status == 400
        alone = f"Cookie: other=1;\tbionicpro-session={anna.session_id} ;x".encode()
        assert (await ask(world, instance, "/reports", alone, CSRF)).status == 200
    assert [asked["path"] for asked in world.reports.requests] == [f"/reports/{world.user('anna').user_id}"]


async def test_whoever_was_given_too_many_cookies_has_a_way_out(world: BffCase) -> None:
    """A site of the same domain can set more cookies than we take; without it, its victim would never get in again."""
    instance = world.start()
    for size in (20_000, 70_000):
        bomb = b"Cookie: " + b"; ".join(b"c%d=%s" % (number, b"x" * 900) for number in range(size // 900))
        answer = await ask(world, instance, "/", bomb)
        assert (answer.status, answer.headers["clear-site-data"]) == (431, '"cookies"')
        assert is_ours(answer)
        # Whoever is only sent a long address, or long headers, keeps theirs.
        for target, line in (("/", b"Referer: http://x/" + b"r" * size), (f"/?{'q' * size}", b"Cookie: a=b")):
            other = await ask(world, instance, target, line)
            assert "clear-site-data" not in other.headers
            assert is_ours(other)


# Case 32: no answer that is not ours


def nested_token() -> bytes:
    return b"logout_token=" + base64.urlsafe_b64encode(b"[" * 12_000).rstrip(b"=") + b".e30.AAAA"


async def test_no_answer_leaves_without_headers_a_request_id_and_problem_details(world: BffCase) -> None:
    instance = world.start()
    form = b"Content-Type: application/x-www-form-urlencoded"
    token = nested_token()
    asked: Sequence[tuple[str, int, RawAnswer]] = [
        ("a long name of a file", 404, await ask(world, instance, "/" + "a" * 300)),
        ("a long name among the assets", 404, await ask(world, instance, "/assets/" + "a" * 300 + ".js", b"Accept: */*")),
        ("many names", 404, await ask(world, instance, "/a" * 2_000)),
        ("a name with a zero", 404, await ask(world, instance, "/a%00b")),
        (
            "a token of brackets",
            400,
            await ask(world, instance, "/auth/backchannel-logout", form, b"Content-Length: %d" % len(token), method="POST", body=token),
        ),
        ("a wrong parameter", 422, await ask(world, instance, f"/auth/login?login_hint={'a' * 200}", b"Accept: application/json")),
        ("no such method", 405, await ask(world, instance, "/auth/login", method="BREW")),
        ("no HTTP", 400, await exchange(instance.served.port, b"\x16\x03\x01\x02\x00\r\n\r\n")),
        ("no host", 400, await exchange(instance.served.port, b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")),
        ("an endless head", 431, await ask(world, instance, "/", b"X: " + b"a" * 70_000)),
    ]
    for what, status, answer in asked:
        assert (what, answer.status) == (what, status)
        assert is_ours(answer), what
    assert b"BrokenToken" not in asked[4][2].body


async def test_what_nobody_foresaw_is_an_answer_of_ours_and_its_log_quotes_nothing(world: BffCase, monkeypatch: pytest.MonkeyPatch) -> None:
    instance = world.start()

    def broken(_: object) -> None:
        raise ZeroDivisionError("anna@example.org")

    monkeypatch.setattr(instance.app.state.bff.sessions, "read", broken)
    cookie = f"Cookie: bionicpro-session={'a' * 43}".encode()
    with capture_logs() as records:
        failed = await ask(world, instance, "/auth/session", cookie, CSRF)
    assert failed.problem["type"].endswith(":failed")
    assert is_ours(failed)
    fault = next(record for record in records if record["event"] == "unforeseen failure")
    assert (fault["error"], fault["request_id"]) == ("ZeroDivisionError", failed.headers["x-request-id"])
    assert "anna@example.org" not in repr(records)


TOKEN_FAULTS = {
    "expires_in is text": {"expires_in": "soon"},
    "expires_in is null": {"expires_in": None},
    "expires_in is no number": {"expires_in": float("nan")},
    "expires_in is endless": {"expires_in": float("inf")},
    "a lone surrogate": {"refresh_token": "a\ud800"},
    "a line break in the token": {"access_token": "a\r\nX-User: boris"},
    "a token that is a list": {"access_token": ["a"]},
    "no refresh token": {"refresh_token": None},
    "an ID token that is a number": {"id_token": 7},
}


@pytest.mark.parametrize("fault", sorted(TOKEN_FAULTS))
async def test_a_faulty_answer_to_a_code_begins_no_session(world: BffCase, fault: str) -> None:
    world.start()
    world.gate.tamper = lambda answer: {**answer, **TOKEN_FAULTS[fault]}
    async with world.browser() as browser:
        user = world.user("anna")
        refused = await browser.login(user.username, user.password)
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) > 0
        assert len(refused.headers["x-request-id"]) == 16
        assert browser.session_id is None


async def test_a_faulty_answer_to_a_refresh_ends_no_session(world: BffCase) -> None:
    """The session lives on its tokens while they last, and is whole again when Keycloak's answers are."""
    world.start()
    async with await world.logged_in() as browser:
        world.clock.ahead_s = 290.0
        for changes in TOKEN_FAULTS.values():
            world.gate.tamper = lambda answer, changes=changes: answer | changes
            assert (await browser.api("/reports/today")).status_code == 200
        world.gate.tamper = None
        assert (await browser.api("/reports/today")).status_code == 200
        assert (await browser.api("/auth/session")).json()["authenticated"] is True


DOCUMENTS = {
    "no endpoint": b'{"issuer": "%(issuer)s"}',
    "a script for an endpoint": b'{"issuer": "%(issuer)s", "authorization_endpoint": "javascript:alert(1)"}',
    "another server's endpoint": b'{"issuer": "%(issuer)s", "authorization_endpoint": "https://evil.example/auth"}',
    "a line break in the endpoint": b'{"issuer": "%(issuer)s", "authorization_endpoint": "%(issuer)s/auth\\r\\nSet-Cookie: a=b"}',
    "null": b"null",
    "a list": b"[]",
    "brackets without end": b"[" * 100_000,
    "no JSON": b"<html>",
    "nothing": b"",
}


@pytest.mark.parametrize("fault", sorted(DOCUMENTS))
async def test_a_faulty_discovery_document_sends_nobody_anywhere(world: BffCase, fault: str) -> None:
    world.start()
    world.gate.instead["/openid-configuration"] = DOCUMENTS[fault].replace(b"%(issuer)s", world.realm.issuer.encode())
    async with world.browser() as browser:
        refused = await browser.get("/auth/login")
        assert refused.status_code == 503
        assert "location" not in refused.headers
        assert len(refused.headers["x-request-id"]) == 16


@pytest.mark.parametrize("document", [b"null", b"[]", b'{"keys": null}', b'{"keys": [1, null, {"kid": "\\ud800"}]}', b"[" * 100_000])
async def test_a_faulty_key_set_begins_no_session(world: BffCase, document: bytes) -> None:
    world.start()
    world.gate.instead["/certs"] = document
    async with world.browser() as browser:
        user = world.user("anna")
        refused = await browser.login(user.username, user.password)
        assert refused.status_code in {400, 503}
        assert len(refused.headers["x-request-id"]) == 16
        assert browser.session_id is None


# Case 33: the forms of a request


async def test_a_request_with_two_lengths_is_refused_and_nothing_after_it_is_read(world: BffCase) -> None:
    """What one server on the way takes for a body, another may take for the next request (RFC 9112 6.1)."""
    instance = world.start()
    smuggled = f"GET /health/live HTTP/1.1\r\nHost: {host(world)}\r\n\r\n".encode()
    both = [b"Content-Length: 5", b"Transfer-Encoding: chunked"]
    for lines in (both, both[::-1]):
        head = b"\r\n".join([b"POST /auth/backchannel-logout HTTP/1.1", f"Host: {host(world)}".encode(), *lines])
        answer = await exchange(instance.served.port, head + b"\r\n\r\n0\r\n\r\n" + smuggled)
        assert (answer.status, answer.headers["connection"], answer.rest) == (400, "close", b"")
        assert is_ours(answer)


async def test_no_target_is_glued_to_the_sites_address(world: BffCase) -> None:
    instance = world.start()
    for target in ("@evil.example/", ".evil.example/", "http://evil.example/", "evil.example:443", "*"):
        line = request(target, "other.example", b"Sec-Fetch-Mode: navigate")
        answer = await exchange(instance.served.port, line)
        assert answer.status == 400, target
        assert "location" not in answer.headers
        assert is_ours(answer)


async def test_encoded_dots_lead_neither_past_the_host_check_nor_into_the_cache(world: BffCase, tmp_path: Path) -> None:
    (tmp_path / "assets").mkdir()
    for name in ("index.html", "assets/a.js", ".built-from"):
        (tmp_path / name).write_text(f"content of {name}")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    instance = world.start(static_dir=tmp_path)
    foreign = "evil.example"
    for target in ("/health/%2e%2e/index.html", "/health/../index.html", "/health/x", "/auth/backchannel-logout/%2e%2e/%2e%2e/index.html"):
        answer = await exchange(instance.served.port, request(target, foreign))
        assert answer.status == 421, target
    for target in (
        "/assets/%2e%2e/index.html",
        "/assets/../index.html",
        "/.built-from",
        "/%2ebuilt-from",
        "/assets/.x",
        "/x/../index.html",
    ):
        answer = await ask(world, instance, target)
        assert answer.status == 404, target
        assert b"content of" not in answer.body
        assert "immutable" not in answer.headers["cache-control"]
    assert (await ask(world, instance, "/assets/a.js")).headers["cache-control"].endswith("immutable")
    assert (await ask(world, instance, "/days/2026-11-20")).body == b"content of index.html"
    assert (await ask(world, instance, "/loop", b"Accept: */*")).status == 404


# Case 34: waits and connections


async def test_a_request_that_does_not_come_ends_its_connection(world: BffCase) -> None:
    """Silent, trickling, or with a body that never ends."""
    instance = world.start(request_receipt_s=0.4)
    port = instance.served.port
    assert await asyncio.to_thread(exchanged, port, b"") is None
    begun = await exchange(port, b"GET / HTTP/1.1\r\nHost:")
    assert (begun.status, begun.headers["connection"]) == (408, "close")
    assert is_ours(begun)
    body = await ask(world, instance, "/auth/backchannel-logout", b"Content-Length: 100", method="POST", body=b"logout")
    assert body.status == 408
    trickled = await asyncio.to_thread(trickle, port)
    assert trickled.startswith(b"HTTP/1.1 408 ")


def trickle(port: int) -> bytes:
    """A head that comes a byte at a time, for as long as the server listens."""
    with socket.create_connection(("127.0.0.1", port), timeout=0.05) as connection:
        for _ in range(600):
            try:
                connection.send(b"X")
                if received := connection.recv(4096):
                    return received
            except TimeoutError:
                continue
            except OSError:
                return b""
    return b""


async def test_an_answer_in_progress_outlives_the_deadline_of_requests(world: BffCase) -> None:
    world.start(request_receipt_s=0.3)
    async with await world.logged_in() as browser:
        world.reports.delay_s = 1.0
        assert (await browser.api("/reports")).status_code == 200
        world.reports.delay_s = 0.0
        stream = await browser.stream("/reports/stream")
        lines = stream.aiter_lines()
        seen = [await anext(lines) for _ in range(40)]
        assert sum(line.startswith("event: report") for line in seen) >= 8
        await stream.aclose()


def opened(port: int, count: int) -> list[socket.socket]:
    return [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(count)]


async def test_one_address_holds_a_bounded_number_of_connections(world: BffCase) -> None:
    instance = world.start(connections=Share(total=8, each=3))
    held = await asyncio.to_thread(opened, instance.served.port, 3)
    refused = await ask(world, instance, "/health/live")
    assert (refused.status, refused.problem["type"]) == (429, "urn:bionicpro:problem:too-many-connections")
    assert int(refused.headers["retry-after"]) > 0
    assert is_ours(refused)
    for connection in held:
        connection.close()

    async def free_again() -> int:
        return (await ask(world, instance, "/health/live")).status

    await eventually(lambda: len(instance.served.connections()) == 0)
    assert await free_again() == 200


async def test_a_trusted_proxy_may_hold_every_connection(world: BffCase) -> None:
    instance = world.start(connections=Share(total=8, each=3), **BEHIND_A_PROXY)
    held = await asyncio.to_thread(opened, instance.served.port, 7)
    assert (await ask(world, instance, "/health/live")).status == 200
    await eventually(lambda: len(instance.served.connections()) == 7)
    held += await asyncio.to_thread(opened, instance.served.port, 1)
    full = await ask(world, instance, "/health/live")
    assert (full.status, is_ours(full)) == (503, True)
    for connection in held:
        connection.close()


# Case 35: as whom a client is counted


async def test_only_the_last_address_that_no_trusted_proxy_has_is_the_clients(world: BffCase) -> None:
    instance = world.start(logins_per_minute=1, trusted_proxies=("127.0.0.1", "10.0.0.0/8"))

    async def login(*forwarded: str) -> int:
        return (await ask(world, instance, "/auth/login", *(f"X-Forwarded-For: {line}".encode() for line in forwarded))).status

    assert await login("192.0.2.1") == 303
    # The client's own word stands before what the proxy adds, on its line or on one of its own.
    for spoofed in (
        ["198.51.100.7", "192.0.2.1"],
        ["198.51.100.8, 192.0.2.1"],
        ["198.51.100.9", "192.0.2.1, 10.1.2.3"],
        ["::ffff:192.0.2.1"],
    ):
        assert await login(*spoofed) == 429, spoofed
    assert await login("2001:db8:1:2::1") == 303
    assert await login("2001:db8:1:2:ffff:ffff:ffff:ffff") == 429
    assert await login("2001:db8:1:3::1") == 303
    assert await login("192.0.2.2") == 303


async def test_a_foreign_page_can_not_use_up_its_viewers_logins(world: BffCase) -> None:
    instance = world.start(logins_per_minute=2)
    image = (b"Sec-Fetch-Mode: no-cors", b"Sec-Fetch-Dest: image", b"Sec-Fetch-Site: cross-site")
    frame = (b"Sec-Fetch-Mode: navigate", b"Sec-Fetch-Dest: iframe", b"Sec-Fetch-Site: cross-site")
    ahead = (b"Sec-Fetch-Mode: navigate", b"Sec-Fetch-Dest: document", b"Sec-Purpose: prefetch;prerender")
    window = (b"Sec-Fetch-Mode: navigate", b"Sec-Fetch-Dest: document", b"Sec-Fetch-Site: cross-site")
    for target in ("/auth/login", f"/auth/callback?state={'a' * 43}&code=x"):
        for lines in (image, frame, ahead):
            for _ in range(3):
                answer = await ask(world, instance, target, *lines)
                assert (answer.status, "set-cookie" in answer.headers) == (403, False)
    # It may open a window, too, and lead it here again and again.
    assert [(await ask(world, instance, "/auth/login", *window)).status for _ in range(3)] == [303, 303, 429]
    assert (await ask(world, instance, f"/auth/callback?state={'a' * 43}&code=x", *window)).status == 400
    own = (b"Sec-Fetch-Mode: navigate", b"Sec-Fetch-Dest: document", b"Sec-Fetch-Site: none")
    assert [(await ask(world, instance, "/auth/login", *own)).status for _ in range(3)] == [303, 303, 429]


# Case 36: no session without a recent password


async def test_a_login_after_a_sessions_end_by_time_asks_for_the_password(world: BffCase) -> None:
    """The page was closed, so nobody told Keycloak: its own session lives on and would let anybody at this computer in."""
    world.start(session_idle_s=12.0, clock_leeway_s=10.0)
    user = world.user("anna")
    async with await world.logged_in() as browser:
        assert browser.keycloak_cookies
        # Keycloak's clock cannot be moved. It asks for the password from one second on, well before our session's idle end.
        await asyncio.sleep(2.2)
        with pytest.raises(LoginRefusedError):
            await browser.authenticate(await browser.begin_login(), user.username, "not-the-password")
        again = await browser.authenticate(await browser.begin_login(), user.username, user.password)
        assert (await browser.finish_login(again)).status_code == 303


async def test_an_id_token_of_an_old_password_begins_no_session(world: BffCase) -> None:
    """Whatever Keycloak makes of ``max_age``, the ID token's ``auth_time`` is looked at."""
    world.start()
    user = world.user("anna")
    for change in ({"auth_time": None}, {"auth_time": "1"}, {"auth_time": 1_000_000}):

        def old(answer: dict[str, object], change: dict[str, object] = change) -> dict[str, object]:
            claims = world.realm.hands.claims_of(str(answer["id_token"])) | change
            return answer | {"id_token": world.realm.hands.sign(claims)}

        world.gate.tamper = old
        async with world.browser() as browser:
            assert (await browser.login(user.username, user.password)).status_code == 400
            assert browser.session_id is None


# Case 37: shares


async def test_one_persons_exports_and_calls_leave_the_others_theirs(world: BffCase) -> None:
    world.start(calls=Share(total=6, each=2, queued_each=2, queued_total=4), exports=Share(total=3, each=2), streams=Share(total=3, each=2))
    async with await world.logged_in("anna") as greedy, await world.logged_in("boris") as other:
        world.reports.delay_s = 2.0
        exports = [asyncio.create_task(greedy.api("/reports/export.pdf")) for _ in range(8)]
        await eventually(lambda: sum(task.done() for task in exports) == 6)
        refused = [task.result() for task in exports if task.done()]
        assert {answer.status_code for answer in refused} == {429}
        assert all(int(answer.headers["retry-after"]) > 0 for answer in refused)
        assert all(answer.json()["type"] == "urn:bionicpro:problem:too-many-requests" for answer in refused)
        # They were refused at the door: only the two that got in were looked up and counted.
        with Redis.from_url(world.redis.url, protocol=2) as store:
            assert int(store.get(counters_of("requests") + world.user("anna").user_id) or 0) == 2
        calls = [asyncio.create_task(greedy.api("/reports/today")) for _ in range(6)]
        await eventually(lambda: sum(task.done() for task in calls) == 4)
        assert {task.result().status_code for task in calls if task.done()} == {429}
        # Another session of the same person has no share of its own.
        async with await world.logged_in("anna") as second:
            assert (await second.api("/reports/export.csv")).status_code == 429
        assert (await other.api("/reports/export.csv")).status_code == 200
        assert (await other.api("/reports/today")).status_code == 200
        assert {answer.status_code for answer in await asyncio.gather(*exports, *calls)} == {200, 429}
        world.reports.delay_s = 0.0
        assert (await greedy.api("/reports/export.pdf")).status_code == 200

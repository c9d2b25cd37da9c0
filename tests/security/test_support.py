"""Support's search and visits: who may, who may not, what is told and what is recorded."""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from clickhouse_driver import Client, errors
from structlog.testing import capture_logs

from tests.support.bff_browser import Browser
from tests.support.bff_case import BffCase
from tests.support.reports_world import Issuer, Mart, Service, new_user, owned, running

pytest_plugins = ["tests.support.reports_fixtures"]

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
NO_RIGHT = 497


def wearer(mart: Mart, name: str, **contract: Any) -> tuple[str, str]:
    """A wearer of a prosthesis in the CRM: the user's id, and the prosthesis's serial number."""
    user, of = new_user(), str(secrets.randbelow(1 << 60))
    mart.own(of, owned(user, LONG_AGO, customer_name=name, **contract))
    return user, f"SN-{of}"


def ids(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [item["user_id"] for item in answer.json()["items"]]


def test_a_wearer_is_found_by_words_of_the_name_the_serial_or_the_contract_number(service: Service) -> None:
    mark = secrets.token_hex(4)
    user, serial = wearer(service.mart, f"Пётр {mark.upper()} Семёнов", contract_number=f"BP/{mark}/17")
    texts = (f"семенов {mark}", f"{mark} ПЁТР", serial.lower(), f"bp/{mark}", f"{mark} {serial}", f"  {mark}\u00a0петр ")
    assert [ids(service.find(text)) for text in texts] == [[user]] * len(texts)
    assert ids(service.find(f"{mark} ivan")) == []
    (item,) = service.find(mark).json()["items"]
    assert item == {
        "user_id": user,
        "name": f"Пётр {mark.upper()} Семёнов",
        "contract_numbers": [f"BP/{mark}/17"],
        "prostheses": [{"model": "BionicHand 3", "serial_number": serial}],
    }


def test_a_former_document_finds_nobody_any_more(service: Service) -> None:
    mark, user, of = secrets.token_hex(6), new_user(), str(secrets.randbelow(1 << 60))
    service.mart.own(of, owned(user, LONG_AGO, customer_name=mark), offset=1)
    assert ids(service.find(mark)) == [user]
    service.mart.own(of, owned(user, LONG_AGO, customer_name="renamed"), offset=2)
    assert ids(service.find(mark)) == []


def test_words_are_not_patched_together_of_two_peoples_contracts(service: Service) -> None:
    one, two, of = secrets.token_hex(6), secrets.token_hex(6), str(secrets.randbelow(1 << 60))
    first, second = new_user(), new_user()
    handed = LONG_AGO + timedelta(days=9)
    service.mart.own(of, owned(first, LONG_AGO, handed, customer_name=one), owned(second, handed, customer_name=two))
    assert (ids(service.find(one)), ids(service.find(two)), ids(service.find(f"{one} {two}"))) == ([first], [second], [])
    assert ids(service.find(f"SN-{of} {two}")) == [second]


def test_twenty_are_shown_and_it_is_said_that_there_are_more(service: Service) -> None:
    mark = secrets.token_hex(6)
    users = [wearer(service.mart, f"{mark} no{number:02d}")[0] for number in range(21)]
    found = service.find(mark)
    assert (ids(found), found.json()["more"]) == (users[:20], True)
    found = service.find(f"{mark} no07")
    assert (ids(found), found.json()["more"]) == ([users[7]], False)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("田中 ゆき", "田中 ゆき"),
        ("李明", "李明"),
        ("김철", "김철"),
        ("ﾘｴ", "リエ"),
        ("Li Wu", "wu li"),
        ("Ян Ли", "ли ян"),
        ("Bo", "Bo {of}"),
    ],
)
def test_whoever_has_a_short_name_is_found_by_it(service: Service, name: str, text: str) -> None:
    user, of = wearer(service.mart, name)
    assert user in ids(service.find(text.format(of=of)))


@pytest.mark.parametrize("text", ["", "ab", "a b c", "ab c", "金", "金 a", "x" * 65, "aaa\nbbb", "%", "   "])
def test_a_text_that_would_find_half_the_world_is_refused(service: Service, text: str) -> None:
    assert service.find(text).status_code == 422


@pytest.mark.parametrize("header", ["%D0", "анна".encode(), "%zz%zz%zz"])
def test_a_text_that_is_not_encoded_as_agreed_is_refused(service: Service, header: Any) -> None:
    token = service.issuer.support()
    assert service.client.get("/users", headers={"Authorization": f"Bearer {token}", "bionicpro-search": header}).status_code in {400, 422}


def test_patterns_and_sql_are_looked_for_as_they_are(service: Service) -> None:
    wearer(service.mart, "Percy Wildcard")
    for text in ("%%%", "___ ___", "per%ard", "' OR 1=1 --", "\\') OR 1 --", "{text:String}"):
        assert ids(service.find(text)) == []


def test_nobody_but_support_searches_and_nobody_learns_that_there_is_a_search(service: Service) -> None:
    issuer = service.issuer
    stranger = service.find("anna", issuer.token(new_user()))
    nothing = service.with_token("/nothing-here", issuer.token(new_user()))
    assert (stranger.status_code, nothing.status_code) == (404, 404)
    assert stranger.json()["title"] == nothing.json()["title"]
    assert service.find("anna", issuer.token("x", realm_access={"roles": ["Support", "admin", "offline_access"]})).status_code == 404
    assert service.client.get("/users", headers={"bionicpro-search": "anna"}).status_code == 401


def test_a_search_is_recorded_with_who_was_shown_and_its_text_is_in_no_log(service: Service) -> None:
    mark = secrets.token_hex(6)
    user, _ = wearer(service.mart, f"Secret {mark}")
    with capture_logs() as records:
        service.find(mark)
    (record,) = [one for one in records if one["event"] == "support search"]
    assert (record["subject"], record["words"], record["shown"]) == ("support-1", 1, [user])
    assert mark not in str(records)


def test_searches_have_a_rate_of_their_own(mart: Mart, issuer: Issuer) -> None:
    with running(mart, issuer, searches_per_s=0.001, searches_burst=3) as service:
        answers = [service.find("anna") for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert int(answers[3].headers["retry-after"]) > 0
        assert service.find("anna", issuer.support("support-2")).status_code == 200
        assert service.own(new_user(), "/today").status_code == 200


def test_reports_open_to_support_only_with_a_reason(service: Service) -> None:
    user, token = new_user(), service.issuer.support()
    for headers in ({}, {"bionicpro-reason": "why"}, {"bionicpro-reason": "a" * 201}, {"bionicpro-reason": "line%0Abreak"}):
        answer = service.with_token(f"/users/{user}/today", token, headers=headers)
        assert (answer.status_code, answer.json()["type"]) == (403, "urn:bionicpro:problem:reason-required")
    assert service.as_support(f"/users/{user}/today", "she calls").status_code == 200
    mine = service.with_token(f"/users/{user}/today", service.issuer.token(user), headers={"bionicpro-reason": "I am curious"})
    assert mine.status_code == 404


def test_the_account_of_the_search_can_do_nothing_else_and_no_other_reader_can_search(mart: Mart) -> None:
    wearer(mart, "Somebody Findable")
    finder, reader = (Client(**mart.endpoint.client(name)) for name in ("finder", "reader"))
    try:
        assert finder.execute("SELECT count() FROM bionicpro.wearers_by_text(text = 'findable')") == [(1,)]
        assert finder.execute("SELECT count() FROM bionicpro.wearers_by_text(text = 's o m e bo')") == [(0,)]
        assert finder.execute("SELECT count() FROM bionicpro.wearers_by_text(text = '')") == [(0,)]
        for view in ("reports_of_users(users = ['a'], first = '2026-01-01', last = '2026-01-02')", "prostheses_of_users(users = ['a'])",
                     "partition_progress", "user_daily_reports"):  # fmt: skip
            with pytest.raises(errors.ServerException) as refused:
                finder.execute(f"SELECT * FROM bionicpro.{view}")
            assert refused.value.code == NO_RIGHT
        with pytest.raises(errors.ServerException) as refused:
            reader.execute("SELECT * FROM bionicpro.wearers_by_text(text = 'findable')")
        assert refused.value.code == NO_RIGHT
    finally:
        finder.disconnect()
        reader.disconnect()


SEARCH = {"json": {"text": "anna"}}
REASON = {"json": {"reason": "she calls"}}


async def test_at_the_door_nobody_but_support_searches_or_visits(world: BffCase) -> None:
    world.start()
    boris = world.user("boris").user_id
    async with world.browser() as stranger:
        assert (await stranger.api("/users/search", "POST", **SEARCH)).status_code == 401
    async with await world.logged_in("anna") as browser:
        for path, options in (("/users/search", SEARCH), (f"/users/{boris}/visit", REASON)):
            assert (await browser.api(path, "POST", **options)).status_code == 404
        assert (await browser.api(f"/users/{boris}/visit", "DELETE")).status_code == 404
    assert world.reports.requests == []


async def test_a_foreign_page_can_neither_search_nor_begin_a_visit(world: BffCase) -> None:
    world.start()
    boris = world.user("boris").user_id
    async with await world.logged_in("sofia") as browser:
        for path, options in (("/users/search", SEARCH), (f"/users/{boris}/visit", REASON)):
            for headers in ({"X-BionicPRO-CSRF": "0"}, {"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
                assert (await browser.api(path, "POST", headers=headers, **options)).status_code == 403
            plain = {"Content-Type": "text/plain"}
            assert (await browser.api(path, "POST", headers=plain, content=b'{"text": "anna"}')).status_code == 415
    assert world.reports.requests == []


async def test_two_ideographs_are_a_name_and_three_a_reason_at_the_door(world: BffCase) -> None:
    world.start()
    async with await world.logged_in("sofia") as browser:
        assert (await browser.api("/users/search", "POST", json={"text": "李明"})).status_code == 200
        assert world.reports.requests[-1]["path"] == "/users"
        anna = world.user("anna").user_id
        for reason, status in (("定期点検", 200), ("点検", 422)):
            assert (await browser.api(f"/users/{anna}/visit", "POST", json={"reason": reason})).status_code == status


@pytest.mark.parametrize(
    "body", [{}, {"text": "ab"}, {"text": "a b c"}, {"text": "x" * 65}, {"text": 5}, {"text": "anna", "user_id": "x"}, []]
)
async def test_a_wrong_search_is_refused_at_the_door(world: BffCase, body: Any) -> None:
    world.start()
    async with await world.logged_in("sofia") as browser:
        assert (await browser.api("/users/search", "POST", json=body)).status_code == 422
        assert (await browser.api("/users/search", "POST", json={"text": "x" * 5000})).status_code == 413
        assert (await browser.api(f"/users/{world.user('anna').user_id}/visit", "POST", json={"reason": "why"})).status_code == 422
    assert world.reports.requests == []


async def test_what_is_looked_for_stands_in_no_address_and_in_no_record_of_the_door(world: BffCase) -> None:
    world.start()
    async with await world.logged_in("sofia") as browser:
        with capture_logs() as records:
            await browser.api("/users/search", "POST", json={"text": "Zacharias Ёж"})
    asked = world.reports.requests[-1]
    assert (asked["method"], asked["path"], asked["query"]) == ("GET", "/users", "")
    assert asked["headers"]["bionicpro-search"] == "Zacharias%20%D0%81%D0%B6"
    assert "Zacharias" not in str(records)
    assert [record["subject"] for record in records if record["event"] == "support_search"] == [world.user("sofia").user_id]


async def test_a_visit_is_of_one_session_and_of_one_wearer_and_ends_by_itself(world: BffCase) -> None:
    world.start(visit_s=2.0)
    anna, boris = world.user("anna").user_id, world.user("boris").user_id

    async def looks(browser: Browser, user: str, rest: str = "/today") -> int:
        return (await browser.api(f"/users/{user}/reports{rest}")).status_code

    async with await world.logged_in("sofia") as browser, await world.logged_in("sofia") as other:
        assert [await looks(browser, boris, rest) for rest in ("/today", "/export.csv", "/stream")] == [403] * 3
        await browser.api(f"/users/{boris}/visit", "POST", **REASON)
        assert (await looks(browser, boris), await looks(browser, anna), await looks(other, boris)) == (200, 403, 403)
        until = time.monotonic() + 15
        while await looks(browser, boris) != 403:
            assert time.monotonic() < until, "the visit does not end"


async def test_searches_are_limited_by_person_at_the_door(world: BffCase) -> None:
    world.start(searches_per_minute=2)
    async with await world.logged_in("sofia") as browser:
        assert [(await browser.api("/users/search", "POST", **SEARCH)).status_code for _ in range(3)] == [200, 200, 429]

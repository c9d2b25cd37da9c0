"""When the page shows somebody's numbers and when it must not; and that no token ever reaches it."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from bff.demo_users import admin
from bff.sessions import session_key
from simulator.demo_data import DemoCustomer
from tests.e2e.person import SETTLED_MS, Person
from tests.e2e.site import Site

TOKEN = "eyJ"  # how every JSON Web Token begins
ASK = """path => fetch(path, {headers: {"X-BionicPRO-CSRF": "1"}}).then(answer => answer.status)"""
VISIBLE_TO_SCRIPTS = """async () => JSON.stringify([document.documentElement.outerHTML, document.cookie,
    Object.entries(localStorage), Object.entries(sessionStorage), history.state, window.name,
    await Promise.all((await caches.keys()).map(async name => (await (await caches.open(name)).keys()).map(kept => kept.url)))])"""


@pytest.fixture
def wearer(site: Site) -> DemoCustomer:
    customer = site.wearer_at_midday()
    (prosthesis,) = site.held_by(customer)
    site.device_sends(prosthesis, "signal", amplitude_uv=50, movement_recognised=True, active_ms=100)
    return customer


@pytest.fixture
def inside(person: Person, wearer: DemoCustomer) -> Person:
    """Somebody who looks at their numbers."""
    person.log_in(wearer)
    expect(person.cards()).to_have_count(1, timeout=SETTLED_MS)
    return person


def test_a_stranger_sees_the_login_offer_and_nothing_else(person: Person) -> None:
    person.page.goto("/")
    person.is_offered_login()
    assert person.page.evaluate(ASK, "/reports/today") == 401


def test_logging_out_ends_the_session_and_offers_login(inside: Person) -> None:
    assert inside.page.evaluate(ASK, "/reports/today") == 200
    before = session_cookie(inside)
    inside.log_out()
    assert inside.page.evaluate(ASK, "/reports/today") == 401
    # The old cookie opens nothing either: the session ended, it was not only forgotten by the browser.
    inside.context.add_cookies([before])
    assert inside.page.evaluate(ASK, "/reports/today") == 401


def test_after_logging_out_login_asks_for_the_password_again(inside: Person) -> None:
    inside.log_out()
    inside.page.get_by_test_id("login").click()
    expect(inside.page.locator("#password")).to_be_visible(timeout=SETTLED_MS)


def test_the_back_button_shows_nothing_after_a_logout_in_another_tab(inside: Person) -> None:
    inside.page.goto("/favicon.svg")
    other = inside.context.new_page()
    other.goto("/")
    other.get_by_test_id("logout").click()
    inside.is_offered_login(other)
    inside.page.go_back()
    inside.is_offered_login()


def test_a_session_that_the_store_lost_makes_the_open_page_offer_login(inside: Person, site: Site) -> None:
    with site.redis() as redis:
        assert redis.delete(session_key(session_cookie(inside)["value"])) == 1
    inside.is_offered_login()


def test_a_person_logged_out_at_keycloak_is_offered_login_by_the_open_page(inside: Person, site: Site, wearer: DemoCustomer) -> None:
    keycloak = site.system.keycloak
    connection = admin(keycloak.base_url, keycloak.admin.user, keycloak.admin.password)
    connection.user_logout(str(wearer.user.user_id))
    inside.is_offered_login()


def test_no_token_is_in_the_page_its_storage_its_cookies_or_its_answers(inside: Person) -> None:
    # By way of an empty page: an answer to the page before could not be read any more.
    inside.page.goto("about:blank")
    inside.answers.clear()
    inside.page.goto("/")
    expect(inside.cards()).to_have_count(1, timeout=SETTLED_MS)
    inside.turns_to("history")
    expect(inside.page.get_by_test_id("history-row")).to_have_count(7, timeout=SETTLED_MS)
    visible = str(inside.page.evaluate(VISIBLE_TO_SCRIPTS))
    assert "history-row" in visible
    assert TOKEN not in visible
    assert "bionicpro-session" not in visible
    assert session_cookie(inside)["httpOnly"] is True
    assert TOKEN not in session_cookie(inside)["value"]
    answers = [answer for answer in inside.answers if "json" in answer.headers.get("content-type", "")]
    assert any(answer.url.endswith("/auth/session") for answer in answers)
    assert [answer.url for answer in answers if TOKEN in answer.text()] == []
    assert [answer.url for answer in inside.answers if TOKEN in str(answer.headers_array())] == []


def session_cookie(person: Person) -> Any:
    """The browser's own record of the session's cookie, which scripts cannot read."""
    (found,) = [cookie for cookie in person.context.cookies() if cookie["name"].endswith("bionicpro-session")]
    return found

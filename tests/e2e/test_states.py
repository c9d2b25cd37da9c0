"""Every page in every state that it can be in: a heading, what to do next, the focus where reading goes on, and nothing that axe objects to."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.e2e.person import SETTLED_MS
from tests.e2e.stand_in import DAY, SESSION, StandIn, today
from tests.e2e.test_screens import is_sound

# What stands on a page once it is loaded.
WHOLE = {
    "/today": "prosthesis-card",
    "/history?range=7": "figures",
    f"/day/{DAY}": "prosthesis-card",
    "/errors/GRIP_TIMEOUT": "meaning",
    "/export": "preview",
    "/more": "prosthesis",
}
# All but More stand on today's numbers.
OF_TODAY = [address for address in WHOLE if address != "/more"]
Opened = Callable[..., Page]


@pytest.fixture
def site(served: StandIn) -> StandIn:
    served.reset()
    return served


@pytest.fixture
def opened(browser: Browser, site: StandIn) -> Iterator[Opened]:
    contexts: list[BrowserContext] = []

    def on(address: str) -> Page:
        context = browser.new_context(
            base_url=site.address, locale="en-GB", viewport={"width": 390, "height": 844}, service_workers="block"
        )
        context.set_default_timeout(SETTLED_MS)
        contexts.append(context)
        page = context.new_page()
        # A request without an answer is given up after 15 s: what is seen before that must be looked for at once.
        page.goto(address, wait_until="commit")
        return page

    yield on
    for context in contexts:
        context.close()


def says(page: Page, test_id: str) -> None:
    """The state is there, under the page's heading, and sound."""
    expect(page.get_by_test_id(test_id).first).to_be_visible()
    expect(page.locator("h1")).not_to_be_empty()
    is_sound(page)


def leads_on(page: Page, test_id: str) -> None:
    """The state has a heading of its own and something to read or to press."""
    state = page.get_by_test_id(test_id).first
    expect(state.get_by_role("heading")).not_to_be_empty()
    expect(state.locator("p")).not_to_be_empty()


def test_every_page_says_that_it_is_loading_under_its_own_heading(opened: Opened, site: StandIn) -> None:
    site.silent = ("/reports",)
    for address in WHOLE:
        says(opened(address), "skeleton")


def test_every_page_of_todays_numbers_says_why_there_are_none_and_tries_again(opened: Opened, site: StandIn) -> None:
    for address in OF_TODAY:
        site.refused = {"/reports": 503}
        page = opened(address)
        says(page, "failed")
        leads_on(page, "failed")
        site.refused = {}
        page.get_by_test_id("retry").first.focus()
        page.keyboard.press("Enter")
        expect(page.get_by_test_id(WHOLE[address]).first).to_be_visible()


def test_parts_that_cannot_be_had_say_so_and_the_focus_goes_on_from_the_heading(opened: Opened, site: StandIn) -> None:
    parts = {
        "/history?range=7": ("/reports/summary", "figures"),
        f"/day/{DAY}": ("/reports/errors", "error-time"),
        "/errors/GRIP_TIMEOUT": ("/reports/error-texts", "meaning"),
        "/more": ("/reports/prostheses", "prosthesis"),
    }
    for address, (path, whole) in parts.items():
        site.refused = {path: 503}
        page = opened(address)
        says(page, "failed")
        leads_on(page, "failed")
        site.refused = {}
        page.get_by_test_id("retry").first.focus()
        page.keyboard.press("Enter")
        expect(page.get_by_test_id(whole).first).to_be_visible()
        expect(page.get_by_test_id("title")).to_be_focused()


def test_pages_without_data_say_so_and_what_to_do(opened: Opened, site: StandIn) -> None:
    site.answers["/reports/today"] = today() | {"items": []}
    site.answers["/reports"] = {"items": [], "next_cursor": None}
    for address, shown in {
        "/today": "today-empty",
        "/history?range=7": "history-empty",
        f"/day/{DAY}": "day-empty",
        "/export": "history-empty",
    }.items():
        page = opened(address)
        says(page, shown)
        leads_on(page, shown)
    site.refused = {"/reports": 404}
    for address in OF_TODAY:
        page = opened(address)
        says(page, "no-reports")
        leads_on(page, "no-reports")


def test_an_offline_page_keeps_its_numbers_with_their_age_and_one_that_never_had_any_says_why(opened: Opened, site: StandIn) -> None:
    for address in OF_TODAY:
        page = opened(address)
        expect(page.get_by_test_id(WHOLE[address]).first).to_be_visible()
        page.context.set_offline(True)
        expect(page.get_by_test_id("connection")).to_have_attribute("data-value", "offline")
        expect(page.get_by_test_id("as-of")).to_be_visible()
        says(page, "notice")
        expect(page.get_by_test_id(WHOLE[address]).first).to_be_visible()
    site.silent = ("/reports/today",)
    page = opened("/history?range=7")
    expect(page.get_by_test_id("skeleton").first).to_be_visible()
    page.context.set_offline(True)
    says(page, "failed")
    leads_on(page, "failed")


def test_what_could_not_be_read_anew_stays_with_its_time(opened: Opened, site: StandIn) -> None:
    page = opened("/history?range=7")
    expect(page.get_by_test_id("figures")).to_be_visible()
    site.refused = {"/reports": 503}
    page.evaluate("window.dispatchEvent(new Event('online'))")
    expect(page.get_by_text("it could not be loaded anew").first).to_be_visible()
    says(page, "history-row")


def test_a_session_that_has_ended_is_told_on_every_page_with_the_way_back(opened: Opened, site: StandIn) -> None:
    for address, whole in WHOLE.items():
        site.refused = {}
        page = opened(address)
        expect(page.get_by_test_id(whole).first).to_be_visible()
        site.refused = {"/auth/session": 401, "/reports": 401}
        page.evaluate("window.dispatchEvent(new Event('online'))")
        says(page, "login")
        expect(page.locator("h1")).to_be_focused()
        expect(page.get_by_role("main").get_by_text("Your session has ended.")).to_be_visible()
        assert str(page.get_by_test_id("login").get_attribute("href")).startswith("/auth/login?return_to=%2F")


def test_support_and_the_visit_have_their_states_too(opened: Opened, site: StandIn) -> None:
    site.answers["/auth/session"] = SESSION | {"roles": ["support"]}
    page = opened("/support")
    says(page, "support")
    page.get_by_test_id("search-text").fill("Петрова")
    site.refused = {"/users/search": 503}
    page.get_by_test_id("search").click()
    says(page, "failed")
    site.refused = {}
    site.answers["/users/search"] = {"items": [], "more": False}
    page.get_by_test_id("retry").click()
    says(page, "nobody")
    expect(page.get_by_test_id("title")).to_be_focused()


def test_a_new_page_begins_at_its_heading(opened: Opened) -> None:
    page = opened("/today")
    for name in ("history", "export", "more", "today"):
        page.get_by_test_id(f"nav-{name}").click()
        expect(page.get_by_test_id(name).get_by_test_id("title")).to_be_focused()

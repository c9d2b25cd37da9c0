"""The page on the screens and in the states that people have: nothing sticks out, nothing is out of reach, axe finds nothing wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from simulator.demo_data import DemoCustomer
from tests.e2e.axe import violations
from tests.e2e.person import SETTLED_MS, Person
from tests.e2e.site import Site, today_in

# The elements that make the page wider than the screen, the outermost first.
STICKS_OUT = """() => {
  const { scrollWidth, clientWidth } = document.documentElement;
  if (scrollWidth <= clientWidth) return [];
  const wide = [...document.body.querySelectorAll('*')].filter((one) => one.getBoundingClientRect().right > clientWidth);
  return [`${scrollWidth} > ${clientWidth}`, ...wide.slice(0, 10).map((one) => one.outerHTML.slice(0, 200))];
}"""
TWICE = "document.documentElement.style.fontSize = '200%'"
HEAVY_ERRORS = {"error_code": "GRIP_TIMEOUT", "error_severity": "critical"}


@dataclass(frozen=True)
class Screen:
    """A device and what its owner has set on it."""

    width: int
    height: int
    twice: bool = False
    options: dict[str, Any] = field(default_factory=dict)


SCREENS = {
    "phone": Screen(390, 844, options={"locale": "en-US"}),
    "small-phone-ru-200": Screen(320, 640, twice=True, options={"locale": "ru-RU", "reduced_motion": "reduce"}),
    "tablet-dark": Screen(820, 1100, options={"locale": "ru-RU", "color_scheme": "dark"}),
    "desktop-forced-colours": Screen(1280, 900, options={"locale": "en-GB", "forced_colors": "active"}),
}


@pytest.fixture(scope="module")
def wearer(site: Site) -> DemoCustomer:
    """Somebody with a day behind them that has something to say: use, a battery, an error."""
    customer = site.wearer_at_midday()
    (prosthesis,) = site.held_by(customer)
    site.device_sends(prosthesis, "signal", amplitude_uv=50, movement_recognised=True, active_ms=60_000)
    site.device_sends(prosthesis, "battery", battery_percent=64)
    site.device_sends(prosthesis, "error", **HEAVY_ERRORS)
    return customer


@pytest.fixture(scope="module")
def state(browser: Browser, site: Site, wearer: DemoCustomer) -> Iterator[Any]:
    """The cookies of the wearer's session, for browsers that need not go through Keycloak again."""
    person = Person(browser, site)
    person.log_in(wearer)
    yield person.context.storage_state()
    person.close()


@pytest.fixture
def opened(browser: Browser, site: Site, state: Any) -> Iterator[Any]:
    """Opens the wearer's pages on a screen."""
    contexts: list[BrowserContext] = []

    def on(screen: Screen, **more: Any) -> Page:
        size: Any = {"width": screen.width, "height": screen.height}
        context = browser.new_context(base_url=site.address, storage_state=state, viewport=size, **(screen.options | more))
        context.set_default_timeout(SETTLED_MS)
        contexts.append(context)
        return context.new_page()

    yield on
    for context in contexts:
        context.close()


def is_sound(page: Page) -> None:
    """Nothing sticks out at the side, there is one main heading, and axe has no objection."""
    assert page.evaluate(STICKS_OUT) == [], f"{page.url}: {page.evaluate(STICKS_OUT)}"
    expect(page.locator("h1")).to_have_count(1)
    assert violations(page) == [], page.url


@pytest.mark.parametrize("screen", SCREENS.values(), ids=SCREENS)
def test_every_page_fits_every_screen_and_axe_finds_nothing(opened: Any, wearer: DemoCustomer, screen: Screen) -> None:
    page = opened(screen)
    today = today_in(wearer.timezone)
    pages = {
        "/today": "prosthesis-card",
        "/history?range=30": "history-row",
        f"/day/{today}": "error-time",
        "/errors/GRIP_TIMEOUT": "error-count",
        "/export": "preview",
        "/more": "prosthesis",
        "/nothing": "unknown",
    }
    for address, shown in pages.items():
        page.goto(address)
        expect(page.get_by_test_id(shown).first).to_be_visible(timeout=SETTLED_MS)
        if screen.twice:
            page.evaluate(TWICE)
        is_sound(page)
        expect(page.get_by_test_id("nav-more")).to_be_in_viewport()


def test_states_without_numbers_say_what_is_and_what_to_do(opened: Any) -> None:
    page = opened(SCREENS["phone"], service_workers="block")

    def refuse(status: int) -> None:
        def answer(route: Route) -> None:
            route.fulfill(status=status, content_type="application/problem+json", body='{"title": "no"}')

        page.unroute("**/reports**")
        page.route("**/reports**", answer)

    refuse(404)
    page.goto("/today")
    expect(page.get_by_test_id("no-reports")).to_be_visible()
    is_sound(page)
    refuse(503)
    page.goto("/today")
    expect(page.get_by_test_id("connection")).to_have_attribute("data-value", "down")
    is_sound(page)
    page.unroute("**/reports**")
    page.goto("/history")
    expect(page.get_by_test_id("history-row").first).to_be_visible()
    page.route("**/reports?**", lambda route: route.fulfill(status=503))
    page.get_by_test_id("period-90").click()
    expect(page.get_by_test_id("failed")).to_be_visible()
    is_sound(page)
    page.unroute("**/reports?**")
    page.get_by_test_id("retry").click()
    expect(page.get_by_test_id("history-row")).to_have_count(90)
    page.route("**/auth/session", lambda route: route.fulfill(status=401))
    page.goto("/day/2026-01-01?prosthesis=1")
    expect(page.get_by_test_id("login")).to_have_attribute("href", "/auth/login?return_to=%2Fday%2F2026-01-01%3Fprosthesis%3D1&lang=en")
    is_sound(page)


def test_the_page_opens_without_a_network_and_keeps_no_health_data(opened: Any) -> None:
    page = opened(SCREENS["phone"])
    page.goto("/today")
    expect(page.get_by_test_id("prosthesis-card").first).to_be_visible()
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    page.context.set_offline(True)
    expect(page.get_by_test_id("connection")).to_have_attribute("data-value", "offline")
    expect(page.get_by_test_id("as-of")).to_be_visible()
    is_sound(page)
    page.goto("/history")
    expect(page.locator("h1")).to_be_visible()
    expect(page.get_by_test_id("history-row")).to_have_count(0)
    kept = page.evaluate("""async () => (await Promise.all((await caches.keys()).map(async name =>
        (await (await caches.open(name)).keys()).map(request => new URL(request.url).pathname)))).flat()""")
    assert "/" in kept
    assert [address for address in kept if address != "/" and not address.startswith("/assets/")] == []


def test_the_keyboard_alone_reaches_pages_hours_and_tables(opened: Any) -> None:
    page = opened(SCREENS["desktop-forced-colours"])
    page.goto("/today")
    expect(page.get_by_test_id("prosthesis-card").first).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    hours = page.get_by_test_id("hour-chart-keys")
    hours.focus()
    page.keyboard.press("Home")
    before = hours.get_attribute("aria-valuetext")
    page.keyboard.press("ArrowRight")
    after = str(hours.get_attribute("aria-valuetext"))
    assert after != before
    expect(page.get_by_test_id("hour-chart-chosen")).to_have_text(after.replace(": ", " ", 1))
    page.locator(".chart-table summary").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".chart-table table").first).to_be_visible()
    page.get_by_test_id("nav-history").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("history").get_by_test_id("title")).to_be_focused()


def test_a_finger_on_the_chart_tells_the_hour_under_it(opened: Any) -> None:
    page = opened(SCREENS["phone"], has_touch=True)
    page.goto("/today")
    chart = page.get_by_test_id("hour-chart")
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    assert box is not None
    page.touchscreen.tap(box["x"] + 2, box["y"] + box["height"] / 2)
    expect(page.get_by_test_id("hour-chart-chosen")).to_contain_text("12:00\u202fAM to 1:00\u202fAM")


def test_a_new_critical_error_is_read_out_and_stays_in_sight(opened: Any, site: Site, wearer: DemoCustomer) -> None:
    page = opened(SCREENS["phone"])
    page.goto("/today")
    expect(page.get_by_test_id("connection")).to_have_attribute("data-value", "live")
    region = page.get_by_test_id("announcer").element_handle()
    (prosthesis,) = site.held_by(wearer)
    site.device_sends(prosthesis, "error", **HEAVY_ERRORS)
    expect(page.get_by_test_id("announcer")).to_contain_text("New critical error")
    assert region.evaluate("node => node.isConnected && node.textContent.includes('New critical error')")
    expect(page.locator('[data-testid="attention-line"][data-kind="critical"]')).to_be_visible()


def test_support_finds_a_wearer_gives_a_reason_and_looks_on(person: Person, wearer: DemoCustomer) -> None:
    person.log_in_as("sam.support")
    page = person.page
    page.get_by_test_id("search-text").fill(wearer.user.full_name)
    page.get_by_test_id("search").click()
    page.get_by_test_id("found-wearer").get_by_role("link").click()
    expect(page.get_by_test_id("visit")).to_be_visible()
    is_sound(page)
    expect(person.cards()).to_have_count(0)
    page.get_by_test_id("reason").fill("Ticket 4711")
    page.get_by_test_id("begin-visit").click()
    expect(person.cards()).to_have_count(1)
    expect(page.get_by_test_id("viewing")).to_contain_text(wearer.user.full_name)
    is_sound(page)
    page.get_by_test_id("nav-history").click()
    expect(page.get_by_test_id("history-row")).to_have_count(7)
    expect(page.get_by_test_id("viewing")).to_be_visible()
    page.get_by_test_id("leave").click()
    expect(page.get_by_test_id("search")).to_be_visible()
    page.go_back()
    expect(page.get_by_test_id("visit")).to_be_visible()


def test_the_way_to_ones_account_leads_to_keycloak(opened: Any, site: Site) -> None:
    page = opened(SCREENS["phone"])
    page.goto("/more")
    page.get_by_test_id("account").click()
    page.wait_for_url(re.compile(rf"^{re.escape(site.system.keycloak.public_url)}/realms/[^/]+/account"))

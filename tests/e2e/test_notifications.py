"""Notifications in a real Chromium: which are shown, how often, with which words, to whom not, and where they lead."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.e2e.person import SETTLED_MS
from tests.e2e.stand_in import StandIn, today

# The real call goes on; what it was called with is kept, because a notification that replaces another leaves no trace.
RECORD = """
window.shown = [];
const real = ServiceWorkerRegistration.prototype.showNotification;
ServiceWorkerRegistration.prototype.showNotification = function (title, options) {
  return real.call(this, title, options).then(() => { window.shown.push(title); });
};
"""
SHOWN = "() => window.shown"
THERE = """async () => (await (await navigator.serviceWorker.ready).getNotifications())
    .map(({title, body, lang, tag, data}) => ({title, body, lang, tag, address: data.address}))"""
# What the browser does when a person opens the notification.
CLICK = """async () => {
  const [notification] = await self.registration.getNotifications();
  self.dispatchEvent(new NotificationEvent("notificationclick", { notification }));
}"""
QUIET = timedelta(hours=4, minutes=1)
WORDS = {
    "en-GB": ("New critical error", "Battery low", "No data for 4 hours", "Open the page for what to do."),
    "ru-RU": ("Новая критическая ошибка", "Низкий заряд", "Нет данных дольше 4 ч", "Откройте страницу: там сказано, что делать."),
}
Opened = Callable[..., Page]


@pytest.fixture
def site(served: StandIn) -> StandIn:
    served.reset()
    return served


@pytest.fixture
def opened(browser: Browser, site: StandIn) -> Iterator[Opened]:
    """Opens a page whose reader has a browser that allows notifications, or not, and that has a service worker."""
    contexts: list[BrowserContext] = []

    def on(address: str, locale: str = "en-GB", *, allowed: bool = True, context: BrowserContext | None = None) -> Page:
        if context is None:
            context = browser.new_context(base_url=site.address, locale=locale)
            context.set_default_timeout(SETTLED_MS)
            context.grant_permissions(["notifications"] if allowed else [], origin=site.address)
            context.add_init_script(RECORD)
            contexts.append(context)
        page = context.new_page()
        page.goto(address)
        expect(page.get_by_test_id("connection")).to_have_attribute("data-value", "live")
        page.evaluate("navigator.serviceWorker.ready.then(() => true)")
        return page

    yield on
    for context in contexts:
        context.close()


def opts_in(page: Page) -> None:
    page.get_by_test_id("nav-more").click()
    page.get_by_test_id("notifications").click()
    expect(page.get_by_test_id("notifications")).to_be_checked()


def is_told(page: Page, site: StandIn, body: dict[str, Any], shown: list[str]) -> None:
    """After *body* has come, these titles have been shown to the reader of *page*, in this order."""
    site.push(body)
    page.wait_for_function("count => window.shown.length >= count", arg=len(shown))
    assert page.evaluate(SHOWN) == shown


def comes(page: Page, site: StandIn, body: dict[str, Any]) -> None:
    """*body* stands on the page, so that whatever it leads to has been decided."""
    body["items"][0]["event_count"] = 4711
    page.get_by_test_id("nav-today").click()
    site.push(body)
    expect(page.get_by_test_id("today-events")).to_have_attribute("data-value", "4711")


@pytest.mark.parametrize("locale", WORDS)
def test_each_kind_is_shown_once_in_the_readers_language_and_names_neither_prosthesis_nor_number(
    opened: Opened, site: StandIn, locale: str
) -> None:
    page = opened("/today", locale)
    opts_in(page)
    critical, battery, silent, text = WORDS[locale]
    is_told(page, site, today(critical=1), [critical])
    is_told(page, site, today(critical=1, battery=19.0), [critical, battery])
    # Around the limit, and again: nothing new.
    site.push(today(critical=1, battery=21.0))
    site.push(today(critical=1, battery=19.5))
    is_told(page, site, today(critical=1, battery=19.0, quiet=QUIET), [critical, battery, silent])
    is_told(page, site, today(critical=2, battery=19.0, quiet=QUIET), [critical, battery, silent, critical])
    there: list[dict[str, str]] = page.evaluate(THERE)
    assert {notice["title"] for notice in there} == {critical, battery, silent}
    assert len(there) == 3
    for notice in there:
        assert (notice["body"], notice["lang"], notice["address"]) == (text, locale[:2], "/today")


def test_what_was_there_when_the_page_was_opened_is_not_news(opened: Opened, site: StandIn) -> None:
    site.answers["/reports/today"] = today(critical=1, battery=10.0)
    page = opened("/today")
    opts_in(page)
    is_told(page, site, today(critical=2, battery=9.0), ["New critical error"])


def test_two_open_tabs_show_a_notification_once(opened: Opened, site: StandIn) -> None:
    one = opened("/today")
    opts_in(one)
    other = opened("/today", context=one.context)
    site.push(today(critical=1))
    for page in (one, other):
        page.get_by_test_id("nav-today").click()
        expect(page.locator('[data-kind="critical"]')).to_be_visible()
    comes(one, site, today(critical=1))
    assert len(one.evaluate(THERE)) == 1
    is_told(one, site, today(critical=1), one.evaluate(SHOWN))


def test_nothing_is_shown_to_whoever_did_not_ask_for_it_or_asked_no_more(opened: Opened, site: StandIn) -> None:
    page = opened("/today")
    comes(page, site, today(critical=1, battery=5.0, quiet=QUIET))
    assert (page.evaluate(SHOWN), page.evaluate(THERE)) == ([], [])
    opts_in(page)
    page.get_by_test_id("notifications").click()
    expect(page.get_by_test_id("notifications")).not_to_be_checked()
    site.answers["/reports/today"] = today()
    page.reload()
    comes(page, site, today(critical=2))
    assert (page.evaluate(SHOWN), page.evaluate(THERE)) == ([], [])


def test_a_browser_that_refuses_shows_nothing_and_the_page_says_so(opened: Opened, site: StandIn) -> None:
    page = opened("/more", allowed=False)
    page.get_by_test_id("notifications").click()
    expect(page.get_by_text("This browser does not allow notifications for this page.")).to_be_visible()
    expect(page.get_by_test_id("notifications")).not_to_be_checked()
    comes(page, site, today(critical=1))
    assert page.evaluate(SHOWN) == []
    expect(page.get_by_test_id("announcer")).to_contain_text("New critical error")


def test_opening_a_notification_leads_to_the_prosthesis_that_it_is_about(opened: Opened, site: StandIn) -> None:
    def of_two(critical: int) -> dict[str, Any]:
        body = today(critical=critical)
        other = today()["items"][0] | {"prosthesis_id": "18", "prosthesis_model": "BionicKnee"}
        return body | {"items": [other, body["items"][0]]}

    site.answers["/reports/today"] = of_two(0)
    page = opened("/today")
    opts_in(page)
    is_told(page, site, of_two(1), ["New critical error"])
    page.evaluate("window.notReloaded = true")
    (worker,) = page.context.service_workers
    worker.evaluate(CLICK)
    page.wait_for_url("**/today?prosthesis=17")
    expect(page.get_by_test_id("title")).to_be_focused()
    expect(page.get_by_test_id("prosthesis-card")).to_have_count(1)
    assert page.evaluate("window.notReloaded") is True
    assert page.evaluate(THERE) == []

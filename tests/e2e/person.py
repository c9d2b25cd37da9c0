"""A person in front of a real browser: their own cookies, one tab or several, and what they can see."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from playwright.sync_api import Browser, BrowserContext, Locator, Page, Response, expect

from simulator.demo_data import DemoCustomer
from tests.e2e.site import DayNumbers
from tests.support.waiting import PATIENCE_S

# Long enough for the 90 days of history to come through on a slow machine; nothing is asserted about how fast it is.
SETTLED_MS = 1000 * PATIENCE_S
WIDTH, HEIGHT = 1280, 900


class Place(Protocol):
    """A site to go to: where its page is, and the passwords of its wearers."""

    @property
    def address(self) -> str: ...

    def password(self, login: str) -> str: ...


class Person:
    """One browser profile. *page* is the first tab; *answers* are the site's own responses to it, Keycloak's left out."""

    def __init__(self, browser: Browser, site: Place) -> None:
        self.site = site
        self.context: BrowserContext = browser.new_context(
            base_url=site.address, locale="en-GB", viewport={"width": WIDTH, "height": HEIGHT}, accept_downloads=True
        )
        self.context.set_default_timeout(SETTLED_MS)
        self.answers: list[Response] = []
        self.context.on("response", self._keep)
        self.page: Page = self.context.new_page()

    def close(self) -> None:
        self.context.close()

    def log_in(self, customer: DemoCustomer) -> None:
        self.log_in_as(customer.user.login)

    def log_in_as(self, login: str) -> None:
        """From the site's first page through Keycloak's own form and back."""
        self.page.goto("/")
        self.page.get_by_test_id("login").click()
        self.page.locator("#username").fill(login)
        self.page.locator("#password").fill(self.site.password(login))
        self.page.locator("#kc-login").click()
        expect(self.page.get_by_test_id("logout")).to_be_visible(timeout=SETTLED_MS)

    def log_out(self) -> None:
        self.page.get_by_test_id("logout").click()
        self.is_offered_login()

    def is_offered_login(self, page: Page | None = None) -> None:
        """And sees nothing else of anybody's."""
        page = page or self.page
        expect(page.get_by_test_id("login")).to_be_visible(timeout=SETTLED_MS)
        expect(page.get_by_test_id("logout")).to_have_count(0)
        expect(page.get_by_test_id("prosthesis-card")).to_have_count(0)
        expect(page.get_by_test_id("history-row")).to_have_count(0)

    def turns_to(self, page: str) -> None:
        """Go to one of the pages by its link, wherever that is on this screen."""
        self.page.get_by_test_id(f"nav-{page}").click()
        expect(self.page.get_by_test_id(page)).to_be_visible(timeout=SETTLED_MS)

    def cards(self) -> Locator:
        return self.page.get_by_test_id("prosthesis-card")

    def card(self, prosthesis: int) -> Locator:
        return self.page.locator(f'[data-testid="prosthesis-card"][data-prosthesis-id="{prosthesis}"]')

    def sees(self, prosthesis: int, test_id: str, value: int | float) -> None:
        """The number *test_id* of the prosthesis's card becomes exactly *value*."""
        expect(self.card(prosthesis).get_by_test_id(test_id)).to_have_attribute("data-value", str(value), timeout=SETTLED_MS)

    def sees_day(self, prosthesis: int, day: DayNumbers) -> None:
        """The prosthesis's card becomes what PostgreSQL counts."""
        self.sees(prosthesis, "today-events", day.events)
        self.sees(prosthesis, "today-usage", day.usage_ms)
        self.sees(prosthesis, "today-errors", day.errors)

    def exports_csv(self, days: int) -> Path:
        """Download the table of the last *days* days, as the page offers it."""
        self.turns_to("export")
        self.page.get_by_test_id(f"period-{days}").click()
        with self.page.expect_download() as download:
            self.page.get_by_test_id("export-csv").click()
        return Path(download.value.path())

    def _keep(self, response: Response) -> None:
        if response.url.startswith(self.site.address):
            self.answers.append(response)

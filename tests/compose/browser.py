"""A wearer in front of a real browser: logs in by the published ports, and the page that comes is kept as a picture."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Browser, Error, expect, sync_playwright

from local import machine
from simulator.demo_data import CUSTOMERS
from tests.compose.engine import TrialError
from tests.compose.wearer import LOGIN
from tests.e2e.conftest import ARGUMENTS
from tests.e2e.person import SETTLED_MS, Person

CUSTOMER = next(customer for customer in CUSTOMERS if customer.user.login == LOGIN)


@dataclass(frozen=True)
class PublishedPage:
    """The page at its published *address*; *secret* is the password of `LOGIN`, the only one that is known."""

    address: str
    secret: str = field(repr=False)

    def password(self, login: str) -> str:
        if login != LOGIN:
            raise KeyError(login)
        return self.secret


def pictured(page: PublishedPage, events: int, picture: Path) -> None:
    """Log in and out in Chromium; today's card counts *events*. *picture* shows the page in between. Raises `TrialError`."""
    picture.parent.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=machine.chromium(), args=list(ARGUMENTS))
        try:
            _look(browser, page, events, picture)
        except (AssertionError, Error) as error:
            raise TrialError(f"in the browser: {error}") from None
        finally:
            browser.close()


def _look(browser: Browser, page: PublishedPage, events: int, picture: Path) -> None:
    person = Person(browser, page)
    try:
        person.log_in(CUSTOMER)
        expect(person.cards()).to_have_count(1, timeout=SETTLED_MS)
        expect(person.cards().get_by_test_id("today-events")).to_have_attribute("data-value", str(events), timeout=SETTLED_MS)
        person.page.screenshot(path=picture, full_page=True)
        person.turns_to("history")
        expect(person.page.get_by_test_id("history-row")).to_have_count(7, timeout=SETTLED_MS)
        person.log_out()
    finally:
        person.close()

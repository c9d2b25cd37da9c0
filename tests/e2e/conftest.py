"""A real browser, and the demo that it looks at."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from local import machine
from local.launch import wait_for
from tests.e2e.person import SETTLED_MS, Person
from tests.e2e.site import Site
from tests.e2e.stand_in import StandIn, standing_in
from tests.support.system import System
from tests.support.waiting import PATIENCE_S

ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
expect.set_options(timeout=SETTLED_MS)


@pytest.fixture(scope="session")
def site(demo: System) -> Site:
    """The demo, once its page answers."""
    site = Site(demo)
    silent = wait_for([f"{site.address}/health/ready"], PATIENCE_S)
    assert silent is None, f"the page does not answer at {silent}; see {demo.instance.logs / 'bff.log'}"
    return site


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium without a screen. For a module only: Playwright's event loop stands in the way of asynchronous tests elsewhere."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=machine.chromium(), args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def served() -> Iterator[StandIn]:
    """The built page over answers that a test sets; a module that wants it as its ``site`` resets it before each test."""
    with standing_in() as stand_in:
        yield stand_in


@pytest.fixture
def somebody(browser: Browser, site: Site) -> Iterator[Callable[[], Person]]:
    """Make a person with a browser profile of their own; again for another one."""
    people: list[Person] = []

    def new() -> Person:
        people.append(Person(browser, site))
        return people[-1]

    yield new
    for person in people:
        person.close()


@pytest.fixture
def person(somebody: Callable[[], Person]) -> Person:
    return somebody()

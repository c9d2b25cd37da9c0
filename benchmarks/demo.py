"""The whole demo for a benchmark: seeded, with logins, its page served, but for the simulator; and a browser in front of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, BrowserContext, sync_playwright

from benchmarks.servers import Servers, started
from benchmarks.source import Connection, connected
from benchmarks.worker import SubjectFailedError
from local import machine, steps
from local.environments import secret_of
from local.instance import existing
from local.launch import wait_for
from local.system import SERVERS
from simulator.demo_data import CUSTOMERS, DemoCustomer

STEPS = tuple(step for step in steps.STEPS if step is not steps.SIMULATOR_STARTED)
WEARER: DemoCustomer = next(customer for customer in CUSTOMERS if customer.user.login == "lukas.weber")
ARGUMENTS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync")  # fmt: skip
ADDRESS = "SELECT prosthesis_id FROM crm.contracts JOIN crm.customers USING (customer_id) WHERE user_id = %s AND ends_at IS NULL"
EVENT = (
    "INSERT INTO telemetry.telemetry_events (prosthesis_id, recorded_at, kind, amplitude_uv, movement_recognised, active_ms)"
    " VALUES (%s, now(), 'signal', 100, true, 10)"
)
PAGE_LIMIT_S = 180
LIMIT_MS = 120_000


@contextmanager
def demo() -> Iterator[Servers]:
    """Every server and service. Raises SubjectFailedError where the page does not answer in time."""
    with started(tuple(SERVERS), STEPS) as servers:
        silent = wait_for([f"{servers.instance.page}/health/ready"], PAGE_LIMIT_S)
        if silent is not None:
            raise SubjectFailedError(f"the page does not answer at {silent}; see {servers.instance.logs / 'bff.log'}")
        yield servers


@contextmanager
def chromium() -> Iterator[Browser]:
    """The system's Chromium, without a screen. Raises SubjectFailedError where there is none."""
    path = machine.chromium()
    if path is None:
        raise SubjectFailedError("there is no Chromium here: `python3 -m local.bootstrap --browser` installs it")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


def logged_in(servers: Servers, browser: Browser) -> BrowserContext:
    """A fresh profile in which WEARER has logged in through Keycloak's form and sees the page."""
    password = existing(servers.instance.folder).secrets[secret_of(WEARER.user.login)]
    context = browser.new_context(base_url=servers.instance.page, locale="en-GB")
    context.set_default_timeout(LIMIT_MS)
    page = context.new_page()
    page.goto("/")
    page.get_by_test_id("login").click()
    page.locator("#username").fill(WEARER.user.login)
    page.locator("#password").fill(password)
    page.locator("#kc-login").click()
    page.get_by_test_id("logout").wait_for()
    return context


def prosthesis_of_wearer(servers: Servers) -> int:
    """The one that is WEARER's now. Raises SubjectFailedError where there is none."""
    with connected(servers, "crm", "crm_app") as crm:
        row = crm.execute(ADDRESS.encode(), (WEARER.user.user_id,)).fetchone()
    if row is None:
        raise SubjectFailedError(f"{WEARER.user.login} has no prosthesis in the CRM's demo data")
    return int(row[0])


def insert_event(telemetry: Connection, prosthesis: int) -> None:
    """One signal of now, committed."""
    telemetry.execute(EVENT.encode(), (prosthesis,))

"""``frontend``: weight of the page, first paint and time to a live number in Chromium, and how soon a committed event is on the screen."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, Response

from benchmarks.demo import LIMIT_MS, chromium, demo, insert_event, logged_in, prosthesis_of_wearer
from benchmarks.results import Failure, Result, versions_of
from benchmarks.servers import Servers, progress
from benchmarks.source import Connection, connected
from service_kit.percentiles import percentile, told

BENCH = "frontend"
LOADS = 10
EVENTS = 30
PAUSE_S = 0.3
# Notes when the first number of today stands in the page, and the time of each change of it after that.
OBSERVER = """
window.benchSeen = [];
new MutationObserver(() => {
  const number = document.querySelector('[data-testid="today-events"]');
  const value = number && number.getAttribute('data-value');
  const last = window.benchSeen[window.benchSeen.length - 1];
  if (value && (!last || last.value !== value)) window.benchSeen.push({ value, at: Date.now(), since: performance.now() });
}).observe(document, { subtree: true, childList: true, attributes: true, attributeFilter: ['data-value'] });
"""
PAINTED = "() => performance.getEntriesByName('first-contentful-paint').map(entry => entry.startTime)[0] ?? null"
SEEN = "() => window.benchSeen"


def run(events: int | None) -> Iterator[Result | Failure]:
    count = min(events or EVENTS, EVENTS)
    with demo() as servers, chromium() as browser, connected(servers, "telemetry", "telemetry_ingest") as telemetry:
        prosthesis = prosthesis_of_wearer(servers)
        insert_event(telemetry, prosthesis)
        context = logged_in(servers, browser)
        context.pages[0].get_by_test_id("today-events").first.wait_for()
        yield _loads(servers, browser, context, LOADS if events is None else 2)
        yield _live(context, telemetry, prosthesis, count)


def _loads(servers: Servers, browser: Browser, context: BrowserContext, count: int) -> Result:
    """Loads with an empty cache and a session that is there already."""
    began = time.monotonic()
    session = context.storage_state()
    weights, requests, paints, lives = [], [], [], []
    for _ in range(count):
        fresh = browser.new_context(base_url=servers.instance.page, locale="en-GB", storage_state=session)
        fresh.add_init_script(OBSERVER)
        page = fresh.new_page()
        page.set_default_timeout(LIMIT_MS)
        answers = _answers(page)
        page.goto("/")
        page.wait_for_function("() => window.benchSeen.length > 0")
        seen: list[dict[str, Any]] = page.evaluate(SEEN)
        paints.append(float(page.evaluate(PAINTED) or 0.0) / 1000)
        lives.append(float(seen[0]["since"]) / 1000)
        finished = [answer for answer in answers if "stream" not in answer.url]
        weights.append(sum(answer.request.sizes()["responseBodySize"] for answer in finished) / 1024)
        requests.append(len(finished))
        fresh.close()
    figures = {
        "page_kib": max(weights),
        "requests": max(requests),
        "first_paint_p50_ms": 1000 * percentile(paints, 50),
        "first_paint_max_ms": 1000 * max(paints),
    }
    progress(f"live number after {told(lives)}")
    return Result(
        BENCH,
        "load to live number",
        count,
        time.monotonic() - began,
        percentiles_ms=told(lives),
        figures=figures,
        versions=versions_of("playwright"),
    )


def _answers(page: Page) -> list[Response]:
    """Filled as they come."""
    answers: list[Response] = []

    def keep(answer: Response) -> None:
        answers.append(answer)

    page.on("response", keep)
    return answers


def _live(context: BrowserContext, telemetry: Connection, prosthesis: int, count: int) -> Result:
    """An event is committed; when does the number on the open page change?"""
    page = context.new_page()
    page.add_init_script(OBSERVER)
    page.goto("/")
    page.wait_for_function("() => window.benchSeen.length > 0")
    began, seconds = time.monotonic(), []
    for _ in range(count):
        before = len(page.evaluate(SEEN))
        insert_event(telemetry, prosthesis)
        committed = time.time()
        page.wait_for_function("before => window.benchSeen.length > before", arg=before)
        seconds.append(max(0.0, _at(page, before) - committed))
        time.sleep(PAUSE_S)
    progress(f"on the screen after {told(seconds)}")
    return Result(
        BENCH, "commit to screen", count, time.monotonic() - began, percentiles_ms=told(seconds), versions=versions_of("playwright")
    )


def _at(page: Page, index: int) -> float:
    return float(page.evaluate(SEEN)[index]["at"]) / 1000

"""``frontend``: weight of the page, first paint and time to a live number in Chromium, on a slow network too, and how soon a committed event is on the screen."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from playwright.sync_api import BrowserContext, Page, Response

from benchmarks.demo import LIMIT_MS, chromium, demo, insert_event, logged_in, prosthesis_of_wearer
from benchmarks.results import Failure, Result, versions_of
from benchmarks.servers import progress
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
# Until the service worker holds the page's own files.
INSTALLED = "() => navigator.serviceWorker.ready.then(() => undefined)"
# A bad mobile network: 400 kbit/s both ways, 100 ms to the first byte of an answer.
SLOW = {"offline": False, "latency": 100, "downloadThroughput": 50_000, "uploadThroughput": 50_000}


def run(events: int | None) -> Iterator[Result | Failure]:
    count, loads = (min(events or EVENTS, EVENTS), LOADS if events is None else 2)
    with demo() as servers, chromium() as browser, connected(servers, "telemetry", "telemetry_ingest") as telemetry:
        prosthesis = prosthesis_of_wearer(servers)
        insert_event(telemetry, prosthesis)
        context = logged_in(servers, browser)
        context.pages[0].get_by_test_id("today-events").first.wait_for()
        session = context.storage_state()

        def fresh() -> BrowserContext:
            return browser.new_context(base_url=servers.instance.page, locale="en-GB", storage_state=session)

        yield _loads("load to live number", fresh, loads)
        yield _loads("… at 400 kbit/s", fresh, loads, slow=True)
        yield _loads("… at 400 kbit/s, again", fresh, loads, slow=True, again=True)
        yield _live(context, telemetry, prosthesis, count)


class Visit(NamedTuple):
    """Seconds to the first paint and to the first number of today; what the network carried until then."""

    paint: float
    live: float
    kib: float
    requests: int


def _loads(subject: str, fresh: Callable[[], BrowserContext], count: int, *, slow: bool = False, again: bool = False) -> Result:
    """Loads with a session that is there already, each in a profile of its own: its cache is empty, or holds what a visit before left there (*again*)."""
    began = time.monotonic()
    visits = []
    for _ in range(count):
        context = fresh()
        context.set_default_timeout(LIMIT_MS)
        context.add_init_script(OBSERVER)
        if again:
            before = context.new_page()
            before.goto("/")
            before.evaluate(INSTALLED)
            before.close()
        visits.append(_visit(context.new_page(), slow=slow))
        context.close()
    lives, paints = [visit.live for visit in visits], [visit.paint for visit in visits]
    figures = {
        "page_kib": max(visit.kib for visit in visits),
        "requests": max(visit.requests for visit in visits),
        "first_paint_p50_ms": 1000 * percentile(paints, 50),
        "first_paint_max_ms": 1000 * max(paints),
    }
    progress(f"{subject}: live number after {told(lives)}")
    seconds = time.monotonic() - began
    return Result(BENCH, subject, count, seconds, percentiles_ms=told(lives), figures=figures, versions=versions_of("playwright"))


def _visit(page: Page, *, slow: bool) -> Visit:
    answers = _answers(page)
    if slow:
        devtools = page.context.new_cdp_session(page)
        devtools.send("Network.enable")
        devtools.send("Network.emulateNetworkConditions", SLOW)
    page.goto("/")
    page.wait_for_function("() => window.benchSeen.length > 0")
    seen: list[dict[str, Any]] = page.evaluate(SEEN)
    finished = [answer for answer in answers if "stream" not in answer.url and not answer.from_service_worker]
    return Visit(
        paint=float(page.evaluate(PAINTED) or 0.0) / 1000,
        live=float(seen[0]["since"]) / 1000,
        kib=sum(answer.request.sizes()["responseBodySize"] for answer in finished) / 1024,
        requests=len(finished),
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

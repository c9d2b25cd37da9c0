"""Today as a screen reader finds it, kept as text: who changes the page reads the difference aloud. No server: the built page, and answers that never change."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from local import frontend, paths
from reports_api import error_texts, schemas
from reports_api.examples import EXAMPLES, NOW
from tests.e2e.person import SETTLED_MS

BUILT = frontend.FOLDER / "dist"
SNAPSHOTS = Path(__file__).parent / "read_aloud"
ADDRESS = "http://localhost"
SESSION = {"authenticated": True, "name": "Anna Petrova", "roles": ["wearer"], "expires_at": None, "idle_expires_at": None}
LOCALES = {"en": "en-GB", "ru": "ru-RU"}


def answers(language: str) -> dict[str, Any]:
    """What the API says, by path; the stream opens and is silent."""
    texts = error_texts.read().of("ru" if language == "ru" else "en")
    today = copy.deepcopy(EXAMPLES[schemas.Today])
    today["items"][0]["errors"]["by_code"] = {"GRIP_TIMEOUT": 1, "UNKNOWN": 1}
    return {
        "/auth/session": SESSION,
        "/reports/today": today,
        "/reports": EXAMPLES[schemas.Page],
        "/reports/error-texts": msgspec.to_builtins(texts),
    }


@pytest.fixture
def opened(browser: Browser) -> Any:
    """Opens Today in a language."""
    pages: list[Page] = []

    def in_language(language: str) -> Page:
        context = browser.new_context(base_url=ADDRESS, locale=LOCALES[language], service_workers="block")
        page = context.new_page()
        page.set_default_timeout(SETTLED_MS)
        page.clock.set_fixed_time(NOW)
        given = answers(language)

        def answer(route: Route) -> None:
            path = urlsplit(route.request.url).path
            if path == "/reports/stream":
                return  # it hangs, as a stream without news does
            if path in given:
                route.fulfill(json=given[path])
            elif (BUILT / path.lstrip("/")).is_file():
                route.fulfill(path=BUILT / path.lstrip("/"))
            else:
                route.fulfill(path=BUILT / "index.html", content_type="text/html")

        page.route("**/*", answer)
        pages.append(page)
        page.goto("/today")
        expect(page.get_by_test_id("prosthesis-card").first).to_be_visible()
        return page

    yield in_language
    for page in pages:
        page.context.close()


@pytest.mark.parametrize("language", LOCALES)
def test_today_read_aloud_is_what_was_read_and_found_good(opened: Any, language: str) -> None:
    found = opened(language).locator("body").aria_snapshot() + "\n"
    kept = SNAPSHOTS / f"today.{language}.yml"
    if not kept.exists() or kept.read_text(encoding="utf-8") != found:
        now = paths.REPOSITORY / "test-results" / kept.name
        now.parent.mkdir(exist_ok=True)
        now.write_text(found, encoding="utf-8")
        pytest.fail(f"Today is read aloud otherwise than in {kept}. Read {now} aloud; where it makes sense, put it in its place.")

"""axe, the checker of accessibility, on a page that is open."""

from __future__ import annotations

from functools import cache

from playwright.sync_api import Page

from local import frontend

FILE = frontend.FOLDER / "node_modules" / "axe-core" / "axe.min.js"
RUN = """async () => (await axe.run(document, {resultTypes: ["violations"]})).violations
  .map((found) => `${found.id}: ${found.nodes.map((node) => node.target.join(" ")).join(", ")}`)"""


def violations(page: Page) -> list[str]:
    """What axe objects to on *page* as it is now: a rule and where it is broken, each."""
    page.evaluate(_source())
    found: list[str] = page.evaluate(RUN)
    return found


@cache
def _source() -> str:
    frontend.install()
    return FILE.read_text(encoding="utf-8")

"""The login is a page of Keycloak's in the page's colours: what both say of a colour is one thing."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
THEMES = REPOSITORY / "deploy" / "keycloak" / "themes"
VARIABLE = re.compile(r"^\s*(--[\w-]+):\s*([^;]+);", re.MULTILINE)

pytestmark = pytest.mark.contract


def variables(file: Path) -> list[tuple[str, str]]:
    """Each (name, value) of *file*, those of the dark scheme among them, but for PatternFly's own."""
    return [found for found in VARIABLE.findall(file.read_text(encoding="utf-8")) if not found[0].startswith("--pf-")]


def test_the_logins_colours_are_those_of_the_page() -> None:
    page = set(variables(REPOSITORY / "frontend" / "src" / "styles" / "tokens.css"))
    login = variables(THEMES / "bionicpro" / "login" / "resources" / "css" / "bionicpro.css")
    assert login
    assert [found for found in login if found not in page] == []


def test_the_realm_has_the_theme_and_its_mark_is_the_pages() -> None:
    realm = json.loads((REPOSITORY / "deploy" / "keycloak" / "bionicpro-realm.json").read_text(encoding="utf-8"))
    theme = THEMES / realm["loginTheme"] / "login"
    assert (theme / "theme.properties").is_file()
    assert (theme / "resources" / "img" / "logo.svg").read_bytes() == (REPOSITORY / "frontend" / "public" / "favicon.svg").read_bytes()

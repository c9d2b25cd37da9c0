"""Keycloak's own pages as a wearer meets them: in the page's colours, and with a way to a new password where there is a mail server."""

from __future__ import annotations

import email
import json
import re
import secrets
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email import policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from keycloak import KeycloakAdmin
from playwright.sync_api import Browser, Page, expect

from bff.demo_users import DemoUser, admin, ensure_demo_users
from bff.realm_settings import MailSettings, settle
from tests.e2e.axe import violations
from tests.support.bff_case import REALM_FILE, realm_from_file
from tests.support.bff_servers import free_port
from tests.support.endpoints import KeycloakEndpoint
from tests.support.processor import until
from tests.support.waiting import PATIENCE_S

PAGE = "http://127.0.0.1:1"
"""Where the realm's page would be: nobody answers there, and nobody has to."""
ACCENT = {"light": "rgb(11, 107, 122)", "dark": "rgb(95, 201, 216)"}
SETTLED_MS = 1000 * PATIENCE_S


@dataclass(frozen=True)
class MailServer:
    """A real SMTP server that keeps what it gets in *box*, a Maildir."""

    port: int
    box: Path

    def letters(self) -> list[EmailMessage]:
        return [
            email.message_from_bytes(file.read_bytes(), policy=policy.default)  # type: ignore[misc]
            for file in sorted((self.box / "new").iterdir())
        ]


@pytest.fixture(scope="module")
def mail_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailServer]:
    server = MailServer(free_port(), tmp_path_factory.mktemp("mail") / "box")
    command = [sys.executable, "-m", "aiosmtpd", "-n", "-c", "aiosmtpd.handlers.Mailbox", "-l", f"127.0.0.1:{server.port}", str(server.box)]
    process = subprocess.Popen(command)
    try:
        until(lambda: _listens(server.port), "the mail server does not listen")
        yield server
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE_S)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@dataclass(frozen=True)
class Realm:
    """A realm of the file under another name, and one wearer of it."""

    keycloak: KeycloakAdmin
    address: str
    wearer: DemoUser

    def login(self, language: str = "en") -> str:
        asked = {
            "client_id": "bionicpro-bff",
            "redirect_uri": f"{PAGE}/auth/callback",
            "response_type": "code",
            "scope": "openid",
            "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
            "code_challenge_method": "S256",
            "ui_locales": language,
        }
        return f"{self.address}/protocol/openid-connect/auth?{urlencode(asked)}"


@pytest.fixture
def realm(keycloak: KeycloakEndpoint) -> Iterator[Realm]:
    name = f"login-{secrets.token_hex(4)}"
    account = keycloak.admin
    made = admin(keycloak.base_url, account.user, account.password, realm="master")
    made.create_realm(realm_from_file(name, PAGE, PAGE))
    inside = admin(keycloak.base_url, account.user, account.password, realm=name)
    wearer = DemoUser(str(uuid4()), "ivan", "ivan@example.org", "Ivan", "Petrov", secrets.token_urlsafe(12))
    ensure_demo_users(inside, [wearer], realm=name)
    yield Realm(inside, f"{keycloak.public_url}/realms/{name}", wearer)
    made.delete_realm(name)


@pytest.fixture
def opened(browser: Browser) -> Iterator[Callable[..., Page]]:
    contexts = []

    def new(**options: Any) -> Page:
        contexts.append(browser.new_context(**options))
        contexts[-1].set_default_timeout(SETTLED_MS)
        page: Page = contexts[-1].new_page()
        return page

    yield new
    for context in contexts:
        context.close()


@pytest.mark.e2e
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_the_login_has_the_pages_colours_and_fits_the_screen(realm: Realm, opened: Callable[..., Page], scheme: str, width: int) -> None:
    settle(realm.keycloak, _file(), MailSettings())
    page = opened(color_scheme=scheme, viewport={"width": width, "height": 800})
    page.goto(realm.login("ru"))
    expect(page.locator("#kc-login")).to_have_css("background-color", ACCENT[scheme])
    expect(page.locator("html")).to_have_attribute("lang", "ru")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert violations(page) == []


@pytest.mark.e2e
def test_without_a_mail_server_the_login_offers_no_mail(realm: Realm, opened: Callable[..., Page]) -> None:
    settle(realm.keycloak, _file(), MailSettings())
    page = opened()
    page.goto(realm.login())
    expect(page.locator("#kc-login")).to_be_visible()
    expect(page.get_by_text("Forgot Password?")).to_have_count(0)


@pytest.mark.e2e
def test_a_forgotten_password_is_set_anew_by_a_link_that_comes_by_mail(
    realm: Realm, mail_server: MailServer, opened: Callable[..., Page]
) -> None:
    mail = MailSettings(host="127.0.0.1", port=mail_server.port, security="none", sender="reports@example.org")
    assert set(settle(realm.keycloak, _file(), mail)) == {"resetPasswordAllowed", "smtpServer"}
    assert settle(realm.keycloak, _file(), mail) == []
    page, new = opened(), secrets.token_urlsafe(12)
    page.goto(realm.login())
    page.get_by_role("link", name="Forgot Password?").click()
    assert violations(page) == []
    page.locator("#username").fill(realm.wearer.username)
    page.get_by_role("button", name="Submit").click()
    until(lambda: bool(mail_server.letters()), "no mail came")
    (letter,) = mail_server.letters()
    assert letter["To"] == realm.wearer.email
    assert "reports@example.org" in letter["From"]
    link = re.search(r"https?://\S+action-token\S+", letter.get_body(("plain",)).get_content())  # type: ignore[union-attr]
    assert link, letter
    page.goto(link[0])
    page.locator("#password-new").fill(new)
    page.locator("#password-confirm").fill(new)
    page.get_by_role("button", name="Submit").click()
    accepts(realm, opened(), new)


def accepts(realm: Realm, page: Page, password: str) -> None:
    """The login takes *password*: it sends the browser back to the page with a code."""
    page.route(f"{PAGE}/**", lambda route: route.fulfill(body="the page"))
    page.goto(realm.login())
    page.locator("#username").fill(realm.wearer.username)
    page.locator("#password").fill(password)
    page.locator("#kc-login").click()
    page.wait_for_url(re.compile(r"/auth/callback\?.*code="))


def _file() -> dict[str, Any]:
    realm: dict[str, Any] = json.loads(REALM_FILE.read_text(encoding="utf-8"))
    return realm

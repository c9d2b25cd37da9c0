"""A browser without a screen: keeps cookies as one, and logs in through Keycloak's real login form."""

from __future__ import annotations

import html
import re
from http.cookies import SimpleCookie
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import httpx

from tests.support.waiting import PATIENCE_S

CSRF = {"X-BionicPRO-CSRF": "1"}
_FORM = re.compile(r'<form[^>]*id="kc-form-login"[^>]*action="([^"]+)"', re.DOTALL)


TOKEN = re.compile(r"eyJ[A-Za-z0-9_-]{8,}\.")
"""The beginning of a signed token. Random text holds ``eyJ`` now and then, but not with a point after it."""


class LoginRefusedError(Exception):
    """Keycloak showed its login page again: a wrong password, or a disabled user."""


class Browser:
    """One person's browser. ``base`` is the address of a BFF; ``origin`` the one that it is known by (its ``Host``)."""

    def __init__(self, base: str, origin: str | None = None) -> None:
        self.base = base
        self.host = urlsplit(origin or base).netloc
        self.cookies: dict[str, str] = {}
        self.set_cookie_headers: list[str] = []
        # Two clients: cookies of Keycloak are no business of the BFF's, though both are on 127.0.0.1 here.
        self._site = httpx.AsyncClient(timeout=PATIENCE_S, trust_env=False)
        self._keycloak = httpx.AsyncClient(timeout=PATIENCE_S, trust_env=False)
        self.keycloak_cookies: dict[str, str] = {}

    async def __aenter__(self) -> Browser:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def close(self) -> None:
        await self._site.aclose()
        await self._keycloak.aclose()

    def request(self, method: str, path: str, *, headers: dict[str, str] | None = None, **body: Any) -> httpx.Request:
        """A request with this browser's cookies; not sent yet."""
        sent = {"host": self.host} | {name.lower(): value for name, value in (headers or {}).items()}
        if self.cookies:
            sent.setdefault("cookie", _joined(self.cookies))
        return self._site.build_request(method, self.base + path, headers=sent, **body)

    async def send(self, request: httpx.Request, *, stream: bool = False) -> httpx.Response:
        # The client's own jar stays empty: it would mix cookies of servers on different ports.
        self._site.cookies.clear()
        response = await self._site.send(request, stream=stream)
        self._keep(response)
        return response

    async def get(self, path: str, headers: dict[str, str] | None = None) -> httpx.Response:
        """A navigation: no CSRF header."""
        return await self.send(self.request("GET", path, headers=headers))

    async def api(self, path: str, method: str = "GET", headers: dict[str, str] | None = None, **body: Any) -> httpx.Response:
        """What the page's script sends. *body*: ``json`` or ``content``."""
        return await self.send(self.request(method, path, headers=CSRF | (headers or {}), **body))

    async def stream(self, path: str, headers: dict[str, str] | None = None) -> httpx.Response:
        """As `api`, with the body left unread; close the response."""
        return await self.send(self.request("GET", path, headers=CSRF | (headers or {})), stream=True)

    async def begin_login(self, return_to: str = "/") -> str:
        """Ask the BFF for a login; returns Keycloak's address that it sends the browser to."""
        response = await self.send(
            self._site.build_request("GET", self.base + "/auth/login", params={"return_to": return_to}, headers=self._head())
        )
        assert response.status_code == 303, response.text
        return response.headers["location"]

    async def authenticate(self, authorization_url: str, username: str, password: str) -> str:
        """Fill in Keycloak's form; returns the callback address that it sends the browser to."""
        page = await self._at_keycloak("GET", authorization_url)
        if page.status_code == 302:
            return page.headers["location"]
        form = _FORM.search(page.text)
        assert form, f"no login form: HTTP {page.status_code} {page.text[:400]}"
        answer = await self._at_keycloak("POST", html.unescape(form[1]), {"username": username, "password": password})
        if answer.status_code != 302:
            raise LoginRefusedError(f"HTTP {answer.status_code}")
        return answer.headers["location"]

    async def finish_login(self, callback_url: str) -> httpx.Response:
        parts = urlsplit(callback_url)
        return await self.get(f"{parts.path}?{parts.query}")

    async def login(self, username: str, password: str, return_to: str = "/") -> httpx.Response:
        """The whole way; returns the callback's response (303 to *return_to* when all went well)."""
        callback = await self.authenticate(await self.begin_login(return_to), username, password)
        return await self.finish_login(callback)

    @property
    def session_id(self) -> str | None:
        return next((value for name, value in self.cookies.items() if name.endswith("bionicpro-session")), None)

    def copy_cookies_from(self, other: Browser) -> None:
        self.cookies = dict(other.cookies)

    def _head(self) -> dict[str, str]:
        head = {"host": self.host}
        if self.cookies:
            head["cookie"] = _joined(self.cookies)
        return head

    async def _at_keycloak(self, method: str, url: str, form: dict[str, str] | None = None) -> httpx.Response:
        self._keycloak.cookies.clear()
        head = {"cookie": _joined(self.keycloak_cookies)} if self.keycloak_cookies else {}
        response = await self._keycloak.request(method, url, data=form, headers=head)
        _keep(self.keycloak_cookies, response)
        return response

    def _keep(self, response: httpx.Response) -> None:
        self.set_cookie_headers.extend(response.headers.get_list("set-cookie"))
        _keep(self.cookies, response)


def _joined(cookies: dict[str, str]) -> str:
    return "; ".join(f"{name}={value}" for name, value in cookies.items())


def _keep(cookies: dict[str, str], response: httpx.Response) -> None:
    """Keep what the response sets. By hand: a standard jar keeps Secure cookies from plain http, where browsers make an exception for loopback."""
    for header in response.headers.get_list("set-cookie"):
        for name, morsel in SimpleCookie(header).items():
            if morsel["max-age"] == "0" or not morsel.value:
                cookies.pop(name, None)
            else:
                cookies[name] = morsel.value

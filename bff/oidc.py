"""Keycloak as the BFF sees it: discovery, the authorization address, code and refresh exchanges, logout.

python-keycloak makes the calls. Not used of it, on purpose: `auth_url` (does not encode), `decode_token` (fetches keys each time, checks neither
issuer nor audience), `userinfo` (puts one user's token into headers that all calls share).
"""

from __future__ import annotations

import json
import math
import ssl
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar
from urllib.parse import urlencode

import httpx
from keycloak import KeycloakOpenID
from keycloak.exceptions import KeycloakConnectionError, KeycloakError

from bff.calls import Calls
from bff.sealing import Tokens, pkce_challenge
from bff.sessions import Clock, Grant
from service_kit.settings import KeycloakSettings

DISCOVERY_FRESH_S = 10
"""How long an answer of Keycloak's proves that it is up: a login is not sent to a server that does not answer."""

CALLS_AT_MOST = 8
"""Few, so that a Keycloak that has just come up answers some sessions in time instead of all too late."""
UI_LOCALES = ("en", "ru")
T = TypeVar("T")


class ProviderDownError(Exception):
    """Keycloak does not answer, or answers that it cannot just now."""


class ProviderMismatchError(Exception):
    """Keycloak speaks for another issuer than configured, or does not accept this client: the configuration is wrong."""


class GrantRefusedError(Exception):
    """Keycloak refuses the code or the refresh token (``invalid_grant``): used, expired, revoked, or the user is disabled."""


class Keycloak:
    """One realm, one confidential client. Every method raises `ProviderDownError` within the deadline, or `ProviderMismatchError`."""

    def __init__(
        self, settings: KeycloakSettings, *, client_id: str, client_secret: str, deadline_s: float, refresh_margin_s: float, clock: Clock
    ) -> None:
        self.issuer = settings.issuer
        self._client_id = client_id
        self._deadline_s = deadline_s
        self._refresh_margin_s = refresh_margin_s
        self._clock = clock
        self._client = KeycloakOpenID(settings.base_url.rstrip("/") + "/", settings.realm, client_id, client_secret, max_retries=0)
        # Our own connections: bounded, with deadlines, and without proxies from the environment. Nothing is retried below us: a code or a
        # rotating refresh token that was sent twice ends the session.
        self._client.connection.async_s = httpx.AsyncClient(
            verify=_trust(settings),
            timeout=deadline_s,
            trust_env=False,
            follow_redirects=False,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=8, keepalive_expiry=20),
        )
        self._client.connection.timeout = math.ceil(deadline_s)
        self._calls = Calls(CALLS_AT_MOST)
        self._discovery: Mapping[str, Any] = {}
        self._answered_at = float("-inf")

    async def require_available(self) -> Mapping[str, Any]:
        """The discovery document, its issuer checked; asked for again when Keycloak has not answered lately."""
        if self._clock() - self._answered_at > DISCOVERY_FRESH_S:
            document = await self._ask(self._client.a_well_known())
            check_issuer(document, self.issuer)
            self._discovery, self._answered_at = document, self._clock()
        return self._discovery

    async def authorization_url(
        self, *, redirect_uri: str, state: str, nonce: str, verifier: str, ui_locale: str | None, login_hint: str | None = None
    ) -> str:
        """Where to send the browser to log in."""
        document = await self.require_available()
        query = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": redirect_uri,
            "scope": "openid",
            "state": state,
            "nonce": nonce,
            "code_challenge": pkce_challenge(verifier),
            "code_challenge_method": "S256",
        }
        if ui_locale in UI_LOCALES:
            query["ui_locales"] = ui_locale
        if login_hint:
            query["login_hint"] = login_hint
        return f"{document['authorization_endpoint']}?{urlencode(query)}"

    async def exchange(self, code: str, verifier: str, redirect_uri: str) -> tuple[Grant, str]:
        """Tokens and the ID token (not yet validated) for an authorization code. Raises `GrantRefusedError`."""
        answer = await self._ask(
            self._client.a_token(grant_type="authorization_code", code=code, redirect_uri=redirect_uri, code_verifier=verifier)
        )
        return self._grant(answer), _required(answer, "id_token")

    async def refresh(self, refresh_token: str) -> tuple[Grant, str | None]:
        """New tokens, and the ID token if one came. Raises `GrantRefusedError`."""
        answer = await self._ask(self._client.a_refresh_token(refresh_token))
        return self._grant(answer), answer.get("id_token")

    async def end_session(self, refresh_token: str) -> None:
        """End Keycloak's session and with it the refresh token. A session that is gone already raises `GrantRefusedError`."""
        await self._ask(self._client.a_logout(refresh_token))

    async def keys(self) -> Mapping[str, Any]:
        """The JWKS document."""
        return await self._ask(self._client.a_certs())

    async def close(self) -> None:
        await self._calls.close()
        await self._client.connection.aclose()

    def _grant(self, answer: Mapping[str, Any]) -> Grant:
        now, lifetime = self._clock(), float(answer.get("expires_in", 0))
        # Of a short-lived token at most half is given up for renewing early.
        margin = min(self._refresh_margin_s, lifetime / 2)
        tokens = Tokens(_required(answer, "access_token"), _required(answer, "refresh_token"))
        return Grant(tokens, now + lifetime - margin, now + lifetime)

    async def _ask(self, call: Coroutine[Any, Any, T]) -> T:
        try:
            answer = await self._calls.wait(call, self._deadline_s)
        except (KeycloakConnectionError, TimeoutError) as error:
            raise ProviderDownError("Keycloak does not answer") from error
        except KeycloakError as error:
            raise failure(error.response_code or 0, error.response_body or b"") from None
        except TypeError:
            raise ProviderDownError("Keycloak's answer is no JSON object") from None
        self._note_answer()
        return answer

    def _note_answer(self) -> None:
        if self._discovery:
            self._answered_at = self._clock()


def failure(status: int, body: bytes) -> Exception:
    """What an error response of Keycloak means. The body is read for its ``error`` alone and quoted nowhere."""
    try:
        code = json.loads(body).get("error", "")
    except (ValueError, AttributeError):
        code = ""
    if code == "invalid_grant":
        return GrantRefusedError("Keycloak refuses the grant")
    if status in {400, 401, 403, 404}:
        return ProviderMismatchError(
            f"Keycloak refuses this client or realm (HTTP {status}, {code or 'no error code'}): compare client id, secret and realm"
        )
    return ProviderDownError(f"Keycloak answers HTTP {status}")


def check_issuer(document: Mapping[str, Any], issuer: str) -> None:
    """Raise `ProviderMismatchError` unless the discovery document speaks for *issuer*."""
    if document.get("issuer") != issuer:
        raise ProviderMismatchError(
            f"Keycloak's issuer is {document.get('issuer')!r}, configured is {issuer!r}: "
            "set BIONICPRO_KEYCLOAK__PUBLIC_URL and __REALM to match Keycloak's hostname"
        )


def _required(answer: Mapping[str, Any], name: str) -> str:
    value = answer.get(name)
    if not isinstance(value, str) or not value:
        raise ProviderMismatchError(f"Keycloak's answer has no {name}: compare the realm with deploy/keycloak/bionicpro-realm.json")
    return value


def _trust(settings: KeycloakSettings) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(settings.ca_file) if settings.ca_file else None)

"""Keycloak as the BFF sees it: discovery, the authorization address, code and refresh exchanges, logout.

python-keycloak makes the calls. Not used of it, on purpose: `auth_url` (does not encode), `decode_token` (fetches keys each time, checks neither
issuer nor audience), `userinfo` (puts one user's token into headers that all calls share).
"""

from __future__ import annotations

import math
import ssl
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar
from urllib.parse import urlencode

import httpx
from keycloak import KeycloakOpenID
from keycloak.exceptions import KeycloakConnectionError, KeycloakError

from bff.calls import Calls
from bff.provider_answers import Answer, Discovery, MalformedAnswerError, TokenAnswer, is_endpoint_of, key_document, read, read_error
from bff.sealing import pkce_challenge
from bff.sessions import Clock, Grant
from service_kit.settings import KeycloakSettings
from service_kit.shares import Share, ShareFullError, Shares

DISCOVERY_FRESH_S = 10
"""How long an answer of Keycloak's proves that it is up: a login is not sent to a server that does not answer."""

CALLS = Share(total=8, each=8, queued_each=4096, queued_total=4096)
"""Few at once, so that a Keycloak that has just come up answers some sessions in time instead of all too late. Nobody asks often: logins are limited by address,
refreshes by the life of a token."""
UI_LOCALES = ("en", "ru")
T = TypeVar("T")
A = TypeVar("A", bound=Answer)


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
        self._calls = Calls(Shares(CALLS))
        self._discovery: Discovery | None = None
        self._answered_at = float("-inf")

    async def require_available(self) -> Discovery:
        """The discovery document, checked; asked for again when Keycloak has not answered lately."""
        if self._discovery is None or self._clock() - self._answered_at > DISCOVERY_FRESH_S:
            document = _well_formed(Discovery, await self._ask(self._client.a_well_known()))
            check_discovery(document, self.issuer)
            self._discovery, self._answered_at = document, self._clock()
        return self._discovery

    async def authorization_url(
        self,
        *,
        redirect_uri: str,
        state: str,
        nonce: str,
        verifier: str,
        max_age_s: int,
        ui_locale: str | None,
        login_hint: str | None = None,
    ) -> str:
        """Where to send the browser to log in. Keycloak asks for the password if it was last given more than *max_age_s* ago (OpenID Connect Core 3.1.2.1)."""
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
            "max_age": str(max_age_s),
        }
        if ui_locale in UI_LOCALES:
            query["ui_locales"] = ui_locale
        if login_hint:
            query["login_hint"] = login_hint
        separator = "&" if "?" in document.authorization_endpoint else "?"
        return f"{document.authorization_endpoint}{separator}{urlencode(query)}"

    async def exchange(self, code: str, verifier: str, redirect_uri: str) -> tuple[Grant, str]:
        """Tokens and the ID token (not yet validated) for an authorization code. Raises `GrantRefusedError`."""
        asked = self._client.a_token(grant_type="authorization_code", code=code, redirect_uri=redirect_uri, code_verifier=verifier)
        answer = _well_formed(TokenAnswer, await self._ask(asked))
        if answer.id_token is None:
            raise ProviderMismatchError("Keycloak's answer has no id_token: compare the realm with deploy/keycloak/bionicpro-realm.json")
        return self._grant(answer), answer.id_token

    async def refresh(self, refresh_token: str) -> tuple[Grant, str | None]:
        """New tokens, and the ID token if one came. Raises `GrantRefusedError`."""
        answer = _well_formed(TokenAnswer, await self._ask(self._client.a_refresh_token(refresh_token)))
        return self._grant(answer), answer.id_token

    async def end_session(self, refresh_token: str) -> None:
        """End Keycloak's session and with it the refresh token. A session that is gone already raises `GrantRefusedError`."""
        await self._ask(self._client.a_logout(refresh_token))

    async def keys(self) -> Mapping[str, Any]:
        """The JWKS document."""
        answer = await self._ask(self._client.a_certs())
        try:
            return key_document(answer)
        except MalformedAnswerError as error:
            raise ProviderMismatchError(f"Keycloak's key set is none; {error}") from None

    async def close(self) -> None:
        await self._calls.close()
        await self._client.connection.aclose()

    def _grant(self, answer: TokenAnswer) -> Grant:
        now, lifetime = self._clock(), answer.expires_in
        # Of a short-lived token at most half is given up for renewing early.
        margin = min(self._refresh_margin_s, lifetime / 2)
        return Grant(answer.tokens, now + lifetime - margin, now + lifetime)

    async def _ask(self, call: Coroutine[Any, Any, T]) -> T:
        try:
            answer = await self._calls.wait(call, self._deadline_s)
        except (KeycloakConnectionError, TimeoutError, ShareFullError) as error:
            raise ProviderDownError("Keycloak does not answer") from error
        except KeycloakError as error:
            raise failure(error.response_code or 0, error.response_body or b"") from None
        except (TypeError, ValueError, AttributeError, RecursionError) as error:
            # What the client library stumbles over: no JSON, JSON of another kind, JSON that is nested without end.
            raise ProviderDownError(f"Keycloak's answer cannot be read ({type(error).__name__})") from None
        self._note_answer()
        return answer

    def _note_answer(self) -> None:
        if self._discovery:
            self._answered_at = self._clock()


def failure(status: int, body: bytes) -> Exception:
    """What an error response of Keycloak means. The body is read for its ``error`` alone and quoted nowhere."""
    code = read_error(body)
    if code == "invalid_grant":
        return GrantRefusedError("Keycloak refuses the grant")
    if status in {400, 401, 403, 404}:
        return ProviderMismatchError(
            f"Keycloak refuses this client or realm (HTTP {status}, {code or 'no error code'}): compare client id, secret and realm"
        )
    return ProviderDownError(f"Keycloak answers HTTP {status}")


def check_discovery(document: Discovery, issuer: str) -> None:
    """Raise `ProviderMismatchError` unless the discovery document speaks for *issuer* and sends browsers to its own server."""
    if document.issuer != issuer:
        raise ProviderMismatchError(
            f"Keycloak's issuer is {document.issuer!r}, configured is {issuer!r}: "
            "set BIONICPRO_KEYCLOAK__PUBLIC_URL and __REALM to match Keycloak's hostname"
        )
    if not is_endpoint_of(document.authorization_endpoint, issuer):
        raise ProviderMismatchError(
            "Keycloak's authorization endpoint is no address of its own server: compare Keycloak's hostname settings"
        )


def _well_formed(kind: type[A], answer: object) -> A:
    try:
        return read(kind, answer)
    except MalformedAnswerError as error:
        raise ProviderMismatchError(f"Keycloak's answer ({kind.__name__}) is malformed; {error}") from None


def _trust(settings: KeycloakSettings) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(settings.ca_file) if settings.ca_file else None)

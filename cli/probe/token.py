"""Access tokens to look through the reports service with: one that the operator gives, or the probe's own by client credentials."""

from __future__ import annotations

import base64
import json
import ssl
import time
from typing import Any, Protocol

import httpx

from cli.probe.settings import ProbeSection
from service_kit.settings import KeycloakSettings

EARLY_S = 20.0
"""A token that ends sooner is replaced."""
TIMEOUT_S = 10.0


class TokenError(RuntimeError):
    """There is no token; the message says why and what to do."""


class Tokens(Protocol):
    """``fresh`` gives a token that is good for a while. Raises TokenError."""

    def fresh(self) -> str: ...


class Given:
    """The operator's own token, as long as it lasts."""

    def __init__(self, bearer: str) -> None:
        claims_of(bearer)
        self._bearer = bearer

    def fresh(self) -> str:
        return self._bearer


class OwnTokens:
    """The probe's own login (client ``bionicpro-probe`` of the realm file), asked for again before a token ends."""

    def __init__(self, keycloak: KeycloakSettings, client_id: str, client_secret: str) -> None:
        self._keycloak = keycloak
        self._form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": client_secret}
        self._token = ""
        self._ends_at = 0.0

    def fresh(self) -> str:
        if time.time() > self._ends_at - EARLY_S:
            self._token = self._asked()
            self._ends_at = float(claims_of(self._token).get("exp", 0))
        return self._token

    def _asked(self) -> str:
        url = f"{self._keycloak.base_url.rstrip('/')}/realms/{self._keycloak.realm}/protocol/openid-connect/token"
        ca_file = self._keycloak.ca_file
        trust = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
        try:
            answer = httpx.post(url, data=self._form, timeout=TIMEOUT_S, trust_env=False, verify=trust)
        except httpx.HTTPError as error:
            raise TokenError(f"Keycloak does not answer at {self._keycloak.base_url}: {type(error).__name__}") from None
        if answer.status_code != 200:
            raise TokenError(
                f"Keycloak refuses the client {self._form['client_id']} (HTTP {answer.status_code}): compare BIONICPRO_PROBE__CLIENT_SECRET with the realm; "
                "a realm that was imported before the client was in deploy/keycloak/bionicpro-realm.json does not have it"
            )
        return str(answer.json()["access_token"])


def tokens(keycloak: KeycloakSettings, section: ProbeSection) -> Tokens:
    """The token given, or the probe's own. Raises TokenError where there is neither."""
    if section.bearer is not None:
        return Given(section.bearer.get_secret_value())
    if section.client_secret is None:
        raise TokenError("set BIONICPRO_PROBE__CLIENT_SECRET (the client bionicpro-probe), or BIONICPRO_PROBE__BEARER (an access token)")
    return OwnTokens(keycloak, section.client_id, section.client_secret.get_secret_value())


def subject_of(bearer: str) -> str:
    """The ``sub`` of a JWT, unverified: it only chooses the path, the service decides. Raises TokenError for what is no JWT."""
    return str(claims_of(bearer)["sub"])


def claims_of(bearer: str) -> dict[str, Any]:
    """The claims of a JWT, unverified. Raises TokenError for what is no JWT, or has no subject."""
    try:
        payload = bearer.split(".")[1]
        claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        claims["sub"]
    except (IndexError, ValueError, KeyError, TypeError):
        raise TokenError("this is no access token (JWT) with a subject; see BIONICPRO_PROBE__BEARER") from None
    return claims

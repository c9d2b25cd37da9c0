"""Who calls. The access token's signature and claims say it, and nothing else does.

Taken are access tokens of the configured issuer, signed with RS256 or ES256, made for this service's audience. Refused are ID, refresh and
logout tokens (other ``typ``), tokens of other realms and audiences, unsigned and symmetric ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from service_kit import signed_tokens, token_claims
from service_kit.key_cache import KeyCache
from service_kit.token_claims import WrongClaimError

MAX_TOKEN_CHARS = 8_192
MAX_ID_CHARS = 128
REASONS = {"iss": "issuer", "aud": "audience", "exp": "expired", "nbf": "not-yet-valid", "iat": "not-yet-valid"}
"""The word for a claim that is missing or wrong; any other that the registry knows names a person or the token itself."""


class InvalidTokenError(Exception):
    """The token is not one of ours. ``reason`` is a word for the audit log and metrics, never shown to the caller."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Caller(NamedTuple):
    """The bearer of a valid access token. ``expires_at`` is in seconds since 1970."""

    subject: str
    roles: frozenset[str]
    expires_at: float
    client: str


class Expectations(NamedTuple):
    """What a token must say. Empty *authorized_parties*: any client for which the issuer made our audience."""

    issuer: str
    audience: str
    authorized_parties: frozenset[str]
    leeway_s: float


def caller_of(header: Mapping[str, Any], claims: Mapping[str, Any], expected: Expectations, now: float) -> Caller:
    """The caller that verified *claims* describe. Raises InvalidTokenError. *now* is in seconds since 1970."""
    try:
        token_claims.check(claims, issuer=expected.issuer, audience=expected.audience, now=now, leeway_s=expected.leeway_s)
    except WrongClaimError as error:
        raise InvalidTokenError(REASONS.get(error.claim, "subject")) from None
    if not _is_access_token(header, claims):
        raise InvalidTokenError("type")
    party = claims.get("azp", claims.get("client_id"))
    if not isinstance(party, str) or (expected.authorized_parties and party not in expected.authorized_parties):
        raise InvalidTokenError("party")
    subject = token_claims.text_of(claims, "sub")
    if not subject.isascii() or not 0 < len(subject) <= MAX_ID_CHARS:
        raise InvalidTokenError("subject")
    return Caller(subject, _roles(claims), token_claims.time_of(claims, "exp"), party)


def _is_access_token(header: Mapping[str, Any], claims: Mapping[str, Any]) -> bool:
    """Keycloak says ``Bearer`` in the claim ``typ``; RFC 9068 says ``at+jwt`` in the header. ID, refresh and logout tokens say otherwise."""
    if "typ" in claims:
        return bool(claims["typ"] == "Bearer")
    return str(header.get("typ", "")).lower() in ("at+jwt", "application/at+jwt")


def _roles(claims: Mapping[str, Any]) -> frozenset[str]:
    access = claims.get("realm_access")
    roles = access.get("roles") if isinstance(access, dict) else None
    return frozenset(role for role in roles if isinstance(role, str)) if isinstance(roles, list) else frozenset()


class TokenVerifier:
    """Verifies access tokens against the issuer's published keys."""

    def __init__(self, keys: KeyCache, expected: Expectations, clock: Callable[[], datetime]) -> None:
        self._keys = keys
        self._expected = expected
        self._clock = clock

    async def verify(self, token: str) -> Caller:
        """The caller. Raises InvalidTokenError, and KeysUnavailableError while the issuer has never been reached."""
        if len(token) > MAX_TOKEN_CHARS:
            raise InvalidTokenError("too-long")
        try:
            key = await self._keys.get(signed_tokens.key_id(token))
            if key is None:
                raise InvalidTokenError("unknown-key")
            header, claims = signed_tokens.verified(token, key)
        except signed_tokens.UnreadableTokenError as error:
            raise InvalidTokenError(error.reason) from None
        return caller_of(header, claims, self._expected, self._clock().timestamp())

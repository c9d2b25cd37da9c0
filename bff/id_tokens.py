"""What an ID token and a logout token must say to be believed (OpenID Connect Core 3.1.3.7, Back-Channel Logout 2.6)."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bff.keys import SigningKeys, UnknownKeyError
from bff.sessions import Clock, Identity
from service_kit import signed_tokens

LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
LOGOUT_TOKEN_MAX_AGE_S = 300
LATEST_TIME = 1e11
"""Seconds since 1970; beyond it no clock goes, and sums of times stay exact."""
MAX_SUBJECT_CHARS = 255
"""OpenID Connect Core 2: a subject is at most that many ASCII characters."""
MAX_NAME_CHARS = 200
UNREADABLE = {
    "too-long": "it is not a signed token",
    "malformed": "its header cannot be read",
    "algorithm": "its signature algorithm is not allowed",
    "key-id": "it names no key",
    "signature": "its signature does not hold",
}
Claims = Mapping[str, Any]


class InvalidTokenError(Exception):
    """The token is not what it should be; the message says why and quotes nothing of it."""


@dataclass(frozen=True, slots=True)
class LogoutNotice:
    """A validated logout token: the Keycloak session, the subject, or both."""

    jti: str
    sid: str | None
    subject: str | None


@dataclass(frozen=True, slots=True)
class Expected:
    """Whose tokens, for whom; at a login, how long ago its person may have proven who they are."""

    issuer: str
    client_id: str
    leeway_s: float
    max_authentication_age_s: float = 0.0


class TokenValidator:
    """Signature by the realm's published keys, then the claims. Raises `InvalidTokenError`."""

    def __init__(self, keys: SigningKeys, expected: Expected, clock: Clock) -> None:
        self._keys = keys
        self._expected = expected
        self._clock = clock

    async def identity_of_login(self, id_token: str, *, nonce: str) -> Identity:
        """The person of the ID token of a login, who has proven who they are lately enough (OpenID Connect Core 3.1.3.7, ``nonce`` and ``auth_time``)."""
        claims = await self._signed_claims(id_token, patient=True)
        now = self._clock()
        check_id_token(claims, self._expected, now)
        check_login(claims, nonce, now - self._expected.max_authentication_age_s - self._expected.leeway_s)
        return identity_of(claims)

    async def identity_of_refresh(self, id_token: str) -> Identity:
        """The person of an ID token that came with a refresh."""
        claims = await self._signed_claims(id_token, patient=True)
        check_id_token(claims, self._expected, self._clock())
        return identity_of(claims)

    async def logout_notice(self, logout_token: str) -> LogoutNotice:
        claims = await self._signed_claims(logout_token, patient=False)
        return check_logout_token(claims, self._expected, self._clock())

    async def _signed_claims(self, token: str, *, patient: bool) -> Claims:
        try:
            key = await self._keys.key(signed_tokens.key_id(token), patient=patient)
            return signed_tokens.verified(token, key)[1]
        except UnknownKeyError as error:
            raise InvalidTokenError(str(error)) from None
        except signed_tokens.UnreadableTokenError as error:
            raise InvalidTokenError(UNREADABLE[error.reason]) from None


def check_id_token(claims: Claims, expected: Expected, now: float) -> None:
    """Raise `InvalidTokenError` unless *claims* are those of an ID token for us, valid *now* (seconds since 1970)."""
    _check_issuer_and_audience(claims, expected)
    _check_times(claims, expected, now)
    if claims.get("typ", "ID") != "ID":
        raise InvalidTokenError("it is not an ID token")
    subject = _text(claims, "sub")
    if not subject or not subject.isascii() or len(subject) > MAX_SUBJECT_CHARS or not _text(claims, "sid"):
        raise InvalidTokenError("it names no subject or no session")


def check_login(claims: Claims, nonce: str, authenticated_after: float) -> None:
    """Raise `InvalidTokenError` unless *claims* answer the login of *nonce*, by a person who has proven who they are after *authenticated_after*."""
    if not hmac.compare_digest(_text(claims, "nonce").encode(), nonce.encode()):
        raise InvalidTokenError("its nonce is not the one of this login")
    if _number(claims, "auth_time") < authenticated_after:
        raise InvalidTokenError("the password was given too long ago")


def check_logout_token(claims: Claims, expected: Expected, now: float) -> LogoutNotice:
    """The notice of a logout token's *claims*. Raises `InvalidTokenError`."""
    _check_issuer_and_audience(claims, expected)
    _check_times(claims, expected, now)
    if now - _number(claims, "iat") > LOGOUT_TOKEN_MAX_AGE_S + expected.leeway_s:
        raise InvalidTokenError("it is too old")
    events = claims.get("events")
    if not isinstance(events, dict) or not isinstance(events.get(LOGOUT_EVENT), dict):
        raise InvalidTokenError("it announces no logout")
    if "nonce" in claims:
        raise InvalidTokenError("a logout token has no nonce")
    jti, sid, subject = _text(claims, "jti"), _text(claims, "sid"), _text(claims, "sub")
    if not jti or not (sid or subject):
        raise InvalidTokenError("it has no identifier, or names neither session nor subject")
    return LogoutNotice(jti, sid or None, subject or None)


def identity_of(claims: Claims) -> Identity:
    """The person that a validated ID token speaks of."""
    roles = claims.get("roles")
    name = (_text(claims, "name") or _text(claims, "preferred_username"))[:MAX_NAME_CHARS]
    known = tuple(sorted(role for role in roles if isinstance(role, str) and role.isascii())) if isinstance(roles, list) else ()
    return Identity(_text(claims, "sub"), _text(claims, "sid"), name, known)


def _check_issuer_and_audience(claims: Claims, expected: Expected) -> None:
    if claims.get("iss") != expected.issuer:
        raise InvalidTokenError("its issuer is another one")
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if expected.client_id not in audiences:
        raise InvalidTokenError("it is meant for another client")
    if (len(audiences) > 1 or "azp" in claims) and claims.get("azp") != expected.client_id:
        raise InvalidTokenError("it was issued to another client")


def _check_times(claims: Claims, expected: Expected, now: float) -> None:
    if now >= _number(claims, "exp") + expected.leeway_s:
        raise InvalidTokenError("it has expired")
    if _number(claims, "iat") > now + expected.leeway_s:
        raise InvalidTokenError("it was issued in the future: compare the clocks")
    if "nbf" in claims and _number(claims, "nbf") > now + expected.leeway_s:
        raise InvalidTokenError("it is not valid yet")


def _text(claims: Claims, name: str) -> str:
    """The text of a claim, "" where it is none or cannot be written down: JSON can hold halves of characters (lone surrogates)."""
    value = claims.get(name)
    if not isinstance(value, str):
        return ""
    try:
        value.encode()
    except UnicodeEncodeError:
        return ""
    return value


def _number(claims: Claims, name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < LATEST_TIME:
        raise InvalidTokenError(f"it has no {name}")
    return float(value)

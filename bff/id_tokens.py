"""What an ID token and a logout token must say to be believed (OpenID Connect Core 3.1.3.7, Back-Channel Logout 2.6)."""

from __future__ import annotations

import binascii
import hmac
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.util import urlsafe_b64decode

from bff.keys import SigningKeys, UnknownKeyError
from bff.sessions import Clock, Identity
from service_kit.public_keys import ALGORITHMS

LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
LOGOUT_TOKEN_MAX_AGE_S = 300
MAX_TOKEN_LENGTH = 16_384
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
    """Whose tokens, for whom."""

    issuer: str
    client_id: str
    leeway_s: float


class TokenValidator:
    """Signature by the realm's published keys, then the claims. Raises `InvalidTokenError`."""

    def __init__(self, keys: SigningKeys, *, issuer: str, client_id: str, leeway_s: float, clock: Clock) -> None:
        self._keys = keys
        self._expected = Expected(issuer, client_id, leeway_s)
        self._clock = clock

    async def identity(self, id_token: str, *, nonce: str | None) -> Identity:
        """The person of an ID token. *nonce* is None for one that came with a refresh, where it is not required."""
        claims = await self._signed_claims(id_token, patient=True)
        check_id_token(claims, self._expected, nonce, self._clock())
        return identity_of(claims)

    async def logout_notice(self, logout_token: str) -> LogoutNotice:
        claims = await self._signed_claims(logout_token, patient=False)
        return check_logout_token(claims, self._expected, self._clock())

    async def _signed_claims(self, token: str, *, patient: bool) -> Claims:
        header = header_of(token)
        if header.get("alg") not in ALGORITHMS:
            raise InvalidTokenError("its signature algorithm is not allowed")
        kid = header.get("kid")
        if not isinstance(kid, str):
            raise InvalidTokenError("it names no key")
        try:
            return jwt.decode(token, await self._keys.key(kid, patient=patient), algorithms=list(ALGORITHMS)).claims
        except UnknownKeyError as error:
            raise InvalidTokenError(str(error)) from None
        except (JoseError, ValueError) as error:
            raise InvalidTokenError(f"its signature does not hold ({type(error).__name__})") from None


def header_of(token: str) -> Mapping[str, Any]:
    """The unverified header, to find the key by. Raises `InvalidTokenError`."""
    if len(token) > MAX_TOKEN_LENGTH or token.count(".") != 2:
        raise InvalidTokenError("it is not a signed token")
    try:
        header = json.loads(urlsafe_b64decode(token.split(".", 1)[0].encode()))
    except (binascii.Error, ValueError):
        raise InvalidTokenError("its header cannot be read") from None
    if not isinstance(header, dict):
        raise InvalidTokenError("its header is no object")
    return header


def check_id_token(claims: Claims, expected: Expected, nonce: str | None, now: float) -> None:
    """Raise `InvalidTokenError` unless *claims* are those of an ID token for us, valid *now* (seconds since 1970)."""
    _check_issuer_and_audience(claims, expected)
    _check_times(claims, expected, now)
    if claims.get("typ", "ID") != "ID":
        raise InvalidTokenError("it is not an ID token")
    if not _text(claims, "sub") or not _text(claims, "sid"):
        raise InvalidTokenError("it names no subject or no session")
    if nonce is not None and not hmac.compare_digest(_text(claims, "nonce").encode(), nonce.encode()):
        raise InvalidTokenError("its nonce is not the one of this login")


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
    name = _text(claims, "name") or _text(claims, "preferred_username")
    known = tuple(sorted(role for role in roles if isinstance(role, str))) if isinstance(roles, list) else ()
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
    value = claims.get(name)
    return value if isinstance(value, str) else ""


def _number(claims: Claims, name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InvalidTokenError(f"it has no {name}")
    return float(value)

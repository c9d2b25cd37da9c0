"""What an ID token and a logout token must say to be believed (OpenID Connect Core 3.1.3.7, Back-Channel Logout 2.6)."""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from joserfc.jwt import ClaimsOption

from bff.oidc import ProviderDownError
from bff.sessions import Clock, Identity
from service_kit import signed_tokens
from service_kit.key_cache import KeyCache, KeysUnavailableError
from service_kit.token_claims import Claims, WrongClaimError, check, text_of, time_of

LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
LOGOUT_TOKEN_MAX_AGE_S = 300
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
WRONG = {
    "iss": "its issuer is another one",
    "aud": "it is meant for another client",
    "azp": "it was issued to another client",
    "exp": "it has expired",
    "iat": "it was issued in the future, or does not say when: compare the clocks",
    "nbf": "it is not valid yet",
    "typ": "it is not an ID token",
}


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
    """What a token must say: its issuer, and that it is for our client. At a login, also how long ago the person may have given the password."""

    issuer: str
    client_id: str
    leeway_s: float
    max_authentication_age_s: float = 0.0


class TokenValidator:
    """Checks the signature with the realm's published keys, then the claims. Every method raises `InvalidTokenError`."""

    def __init__(self, keys: KeyCache, expected: Expected, clock: Clock) -> None:
        self._keys = keys
        self._expected = expected
        self._clock = clock

    async def identity_of_login(self, id_token: str, *, nonce: str) -> Identity:
        """The person of the ID token of a login. The person must have given the password recently (OpenID Connect Core 3.1.3.7, ``nonce`` and ``auth_time``)."""
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
            key = await self._keys.get(signed_tokens.key_id(token), patient=patient)
            if key is None:
                raise InvalidTokenError("the token was signed with a key that the realm does not publish")
            return signed_tokens.verified(token, key)[1]
        except KeysUnavailableError as error:
            raise ProviderDownError(str(error)) from error
        except signed_tokens.UnreadableTokenError as error:
            raise InvalidTokenError(UNREADABLE[error.reason]) from None


def check_id_token(claims: Claims, expected: Expected, now: float) -> None:
    """Raise `InvalidTokenError` unless *claims* are those of an ID token for us, valid *now* (seconds since 1970)."""
    _check_claims(claims, expected, now, typ={"value": "ID"})
    subject = text_of(claims, "sub")
    if not subject or not subject.isascii() or len(subject) > MAX_SUBJECT_CHARS or not text_of(claims, "sid"):
        raise InvalidTokenError("it names no subject or no session")


def check_login(claims: Claims, nonce: str, authenticated_after: float) -> None:
    """Raise `InvalidTokenError` unless *claims* answer the login of *nonce*, by a person who has proven who they are after *authenticated_after*."""
    if not hmac.compare_digest(text_of(claims, "nonce").encode(), nonce.encode()):
        raise InvalidTokenError("its nonce is not the one of this login")
    try:
        authenticated = time_of(claims, "auth_time")
    except WrongClaimError:
        raise InvalidTokenError("it does not say when the password was given") from None
    if authenticated < authenticated_after:
        raise InvalidTokenError("the password was given too long ago")


def check_logout_token(claims: Claims, expected: Expected, now: float) -> LogoutNotice:
    """The notice of a logout token's *claims*. Raises `InvalidTokenError`."""
    _check_claims(claims, expected, now)
    if now - time_of(claims, "iat") > LOGOUT_TOKEN_MAX_AGE_S + expected.leeway_s:
        raise InvalidTokenError("it is too old")
    events = claims.get("events")
    if not isinstance(events, dict) or not isinstance(events.get(LOGOUT_EVENT), dict):
        raise InvalidTokenError("it announces no logout")
    if "nonce" in claims:
        raise InvalidTokenError("a logout token has no nonce")
    jti, sid, subject = text_of(claims, "jti"), text_of(claims, "sid"), text_of(claims, "sub")
    if not jti or not (sid or subject):
        raise InvalidTokenError("it has no identifier, or names neither session nor subject")
    return LogoutNotice(jti, sid or None, subject or None)


def identity_of(claims: Claims) -> Identity:
    """The person that a validated ID token speaks of."""
    roles = claims.get("roles")
    name = (text_of(claims, "name") or text_of(claims, "preferred_username"))[:MAX_NAME_CHARS]
    known = tuple(sorted(role for role in roles if isinstance(role, str) and role.isascii())) if isinstance(roles, list) else ()
    return Identity(text_of(claims, "sub"), text_of(claims, "sid"), name, known)


def _check_claims(claims: Claims, expected: Expected, now: float, **more: ClaimsOption) -> None:
    """The claims that ID and logout tokens share. A token for several clients must say for which of them it was made (OpenID Connect Core 3.1.3.7)."""
    audience = claims.get("aud")
    several = isinstance(audience, list) and len(audience) > 1
    own: dict[str, ClaimsOption] = {"azp": {"essential": several, "value": expected.client_id}, "iat": {"essential": True}}
    try:
        check(claims, issuer=expected.issuer, audience=expected.client_id, now=now, leeway_s=expected.leeway_s, **own | more)
    except WrongClaimError as error:
        raise InvalidTokenError(WRONG.get(error.claim, f"its {error.claim} is wrong")) from None

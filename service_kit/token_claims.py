"""What the claims of a verified token must say, by joserfc's registry of claims (RFC 7519 4.1). Needs the extra of a service that checks tokens.

The registry compares issuer, audience and times. Three rules are added: only an audience may be a list; a time is a number that clocks can
reach; a text can be written down.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from joserfc.errors import ClaimError, InvalidClaimError
from joserfc.jwt import ClaimsOption, JWTClaimsRegistry

LATEST_TIME = 1e11
"""Seconds since 1970; beyond it no clock goes, and sums of times stay exact."""
TIMES = ("exp", "iat", "nbf", "auth_time")
Claims = Mapping[str, Any]


class WrongClaimError(Exception):
    """A claim is missing or not what was expected; ``claim`` is its name, the first one where several are missing. No value is quoted."""

    def __init__(self, claim: str) -> None:
        super().__init__(claim)
        self.claim = claim


class _Registry(JWTClaimsRegistry):
    """joserfc's, which would also take a list that holds the expected value for any claim."""

    def check_value(self, claim_name: str, value: Any) -> None:
        if isinstance(value, list) and claim_name != "aud":
            raise InvalidClaimError(claim_name)
        super().check_value(claim_name, value)


def check(claims: Claims, *, issuer: str, audience: str, now: float, leeway_s: float, **more: ClaimsOption) -> None:
    """Raise `WrongClaimError` unless *claims* are of *issuer*, for *audience* and valid *now* (seconds since 1970), and *more* claims are as said.

    ``exp`` must be there; ``iat`` and ``nbf`` are compared where they are, and must be there where *more* calls them essential.
    """
    for name in TIMES:
        if claims.get(name) is not None:
            time_of(claims, name)
    expected: dict[str, ClaimsOption] = {
        "iss": {"essential": True, "value": issuer},
        "aud": {"essential": True, "value": audience},
        "exp": {"essential": True},
    }
    registry = _Registry(now, leeway_s, **expected | more)  # type: ignore[arg-type]  # the times are only compared; ours have fractions
    try:
        registry.validate(dict(claims))
    except ClaimError as error:
        raise WrongClaimError(error.claim.partition(",")[0]) from None


def time_of(claims: Claims, name: str) -> float:
    """A time of *claims* in seconds since 1970. Raises `WrongClaimError` where it is none."""
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < LATEST_TIME:
        raise WrongClaimError(name)
    return float(value)


def text_of(claims: Claims, name: str) -> str:
    """The text of a claim, "" where it is none or cannot be written down: JSON can hold halves of characters (lone surrogates)."""
    value = claims.get(name)
    if not isinstance(value, str):
        return ""
    try:
        value.encode()
    except UnicodeEncodeError:
        return ""
    return value

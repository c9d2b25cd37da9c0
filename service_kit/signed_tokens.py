"""Reading signed tokens (compact JWS) from strangers: whatever stands in one ends in a token or in `UnreadableTokenError`. Needs the extra of a service that checks tokens."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.util import urlsafe_b64decode

from service_kit.public_keys import ALGORITHMS, PublicKey

MAX_TOKEN_CHARS = 16_384
MAX_KID_CHARS = 256


class UnreadableTokenError(Exception):
    """The token has not the form of one. ``reason`` is a word for logs and metrics; nothing of the token is in it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def key_id(token: str) -> str:
    """The key id of the unverified header, which only chooses among the issuer's own keys. Raises `UnreadableTokenError`."""
    header = _header(token)
    if header.get("alg") not in ALGORITHMS:
        raise UnreadableTokenError("algorithm")
    kid = header.get("kid")
    if not isinstance(kid, str) or not 0 < len(kid) <= MAX_KID_CHARS:
        raise UnreadableTokenError("key-id")
    return kid


def _header(token: str) -> Mapping[str, Any]:
    if len(token) > MAX_TOKEN_CHARS:
        raise UnreadableTokenError("too-long")
    if token.count(".") != 2 or not token.isascii():
        raise UnreadableTokenError("malformed")
    try:
        header = json.loads(urlsafe_b64decode(token.split(".", 1)[0].encode()))
    except (ValueError, RecursionError):  # the second: 12,000 brackets, nested
        raise UnreadableTokenError("malformed") from None
    if not isinstance(header, dict):
        raise UnreadableTokenError("malformed")
    return header


def verified(token: str, key: PublicKey) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Header and claims of a *token* that *key* has signed. Raises `UnreadableTokenError`; the claims themselves are still to be judged."""
    try:
        opened = jwt.decode(token, key, algorithms=list(ALGORITHMS))
    except (JoseError, ValueError, TypeError, RecursionError):
        raise UnreadableTokenError("signature") from None
    return opened.header, opened.claims

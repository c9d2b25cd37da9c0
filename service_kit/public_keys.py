"""The public keys that an identity provider publishes: which of them may verify a signature. Needs the extra of a service that checks tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, RSAKey

ALGORITHMS = ("RS256", "ES256")
"""The signatures that are believed, wherever a token is checked."""
MAX_KEYS = 64
MIN_RSA_BITS = 2048
PublicKey = RSAKey | ECKey
log = structlog.get_logger(__name__)


def signature_keys(document: Mapping[str, Any]) -> dict[str, PublicKey]:
    """The usable signature keys of a JWKS document by key id: RSA of at least 2048 bits and EC, not marked for encryption or another algorithm.

    Keys of other kinds are left out (providers publish encryption keys beside them). Raises ValueError if the document is no key set.
    """
    entries = document.get("keys")
    if not isinstance(entries, list):
        raise ValueError("the document has no list of keys")  # noqa: TRY004  what came over the wire is wrong, not our call
    signing = [entry for entry in entries[:MAX_KEYS] if isinstance(entry, dict) and _is_for_signatures(entry)]
    keys = {entry["kid"]: _public_key(entry) for entry in signing}
    return {kid: key for kid, key in keys.items() if key is not None}


def _is_for_signatures(entry: dict[str, Any]) -> bool:
    named = isinstance(entry.get("kid"), str) and bool(entry["kid"])
    return named and entry.get("kty") in ("RSA", "EC") and entry.get("use", "sig") == "sig" and entry.get("alg", "RS256") in ALGORITHMS


def _public_key(entry: dict[str, Any]) -> PublicKey | None:
    public = {name: value for name, value in entry.items() if name in ("kty", "n", "e", "crv", "x", "y", "kid", "alg", "use")}
    try:
        key = JWKRegistry.import_key(public)
    except (JoseError, ValueError, TypeError) as error:
        log.warning("a published key cannot be used", kid=entry.get("kid"), error=type(error).__name__)
        return None
    if isinstance(key, RSAKey):
        return key if key.raw_value.key_size >= MIN_RSA_BITS else None
    return key if isinstance(key, ECKey) else None

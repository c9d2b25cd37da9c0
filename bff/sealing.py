"""Random identifiers, their hashes, and tokens sealed with a key that only the browser's cookie yields.

Redis holds the hash of a session id and tokens encrypted with a key derived from the id itself: a copy of Redis opens no session
and shows no token.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import secrets
from dataclasses import asdict, dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_NONCE_BYTES = 12
_IDENTIFIER = re.compile(r"[A-Za-z0-9_-]{43}")


class SealBrokenError(Exception):
    """The sealed tokens were not made for this session id."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """What Keycloak gave for a session. ``repr`` shows nothing, so that no log can."""

    access: str
    refresh: str

    def __repr__(self) -> str:
        return "Tokens(…)"


def new_identifier() -> str:
    """256 random bits as 43 URL-safe characters."""
    return secrets.token_urlsafe(32)


def is_identifier(text: str) -> bool:
    return _IDENTIFIER.fullmatch(text) is not None


def digest(identifier: str) -> str:
    """SHA-256 in hexadecimal: what the store may know of an identifier."""
    return hashlib.sha256(identifier.encode()).hexdigest()


def pkce_challenge(verifier: str) -> str:
    """RFC 7636, method S256."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def seal(tokens: Tokens, session_id: str) -> str:
    """Encrypt *tokens* for *session_id*; another result at each call."""
    nonce = os.urandom(_NONCE_BYTES)
    sealed = AESGCM(_key(session_id)).encrypt(nonce, json.dumps(asdict(tokens)).encode(), None)
    return base64.b64encode(nonce + sealed).decode()


def unseal(sealed: str, session_id: str) -> Tokens:
    """The tokens sealed for *session_id*. Raises `SealBrokenError`."""
    try:
        raw = base64.b64decode(sealed)
        content = AESGCM(_key(session_id)).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], None)
    except (InvalidTag, ValueError) as error:
        raise SealBrokenError("the session's tokens cannot be opened with its id") from error
    return Tokens(**json.loads(content))


def _key(session_id: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=b"bionicpro session tokens").derive(session_id.encode())

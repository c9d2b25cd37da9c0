"""What Keycloak may answer: each answer is checked as a whole before a word of it is used. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from bff.sealing import Tokens

MAX_TOKEN_CHARS = 16_384
MAX_LIFETIME_S = 366 * 86_400
Token = Annotated[str, Field(min_length=1, max_length=MAX_TOKEN_CHARS, pattern=r"^[A-Za-z0-9\-._~+/=]+$")]
"""A token that can stand in a header (RFC 6750 2.1), and nothing else."""
ErrorCode = Annotated[str, Field(max_length=64, pattern=r"^[a-z_]*$")]


class MalformedAnswerError(Exception):
    """The answer is not what OpenID Connect says; the message names the fields and quotes nothing."""


class Answer(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, hide_input_in_errors=True)


class TokenAnswer(Answer):
    """RFC 6749 5.1. ``expires_in`` is in seconds; Keycloak always says it."""

    access_token: Token
    refresh_token: Token
    id_token: Token | None = None
    expires_in: Annotated[float, Field(ge=0, le=MAX_LIFETIME_S, allow_inf_nan=False)]

    @property
    def tokens(self) -> Tokens:
        return Tokens(self.access_token, self.refresh_token)

    def __repr__(self) -> str:
        return "TokenAnswer(…)"


class Discovery(Answer):
    """OpenID Connect Discovery 3, as far as it is used."""

    issuer: Annotated[str, Field(max_length=2048)]
    authorization_endpoint: Annotated[str, Field(max_length=2048)]


class KeySet(Answer):
    """RFC 7517 5. What the keys are worth is for `service_kit.public_keys` to say."""

    keys: list[dict[str, JsonValue]]


class ErrorAnswer(Answer):
    """RFC 6749 5.2."""

    error: ErrorCode = ""


A = TypeVar("A", bound=Answer)


def read(kind: type[A], answer: object) -> A:
    """*answer*, decoded from JSON, as *kind*. Raises `MalformedAnswerError`."""
    try:
        return kind.model_validate(answer)
    except ValidationError as error:
        fields = sorted(
            {
                ".".join(str(part) for part in found["loc"][:2]) or "the whole"
                for found in error.errors(include_input=False, include_url=False)
            }
        )
        raise MalformedAnswerError(f"wrong in it: {', '.join(fields)[:200]}") from None


def read_error(body: bytes) -> str:
    """The error code of an error response, "" where it has none that can be read."""
    try:
        return read(ErrorAnswer, json.loads(body)).error
    except (ValueError, RecursionError, MalformedAnswerError):
        return ""


def is_endpoint_of(endpoint: str, issuer: str) -> bool:
    """Whether a browser may be sent to *endpoint*: an address of the *issuer*'s own server, of printable ASCII, without a fragment (RFC 6749 3.1)."""
    if not endpoint.isascii() or not endpoint.isprintable() or " " in endpoint or "\\" in endpoint:
        return False
    try:
        asked, own = urlsplit(endpoint), urlsplit(issuer)
    except ValueError:
        return False
    return (asked.scheme, asked.netloc) == (own.scheme, own.netloc) and own.scheme in {"http", "https"} and "#" not in endpoint


def key_document(answer: object) -> Mapping[str, Any]:
    """The JWKS document. Raises `MalformedAnswerError`."""
    return read(KeySet, answer).model_dump()

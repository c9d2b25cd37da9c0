"""Erasure: who is asked for, by which name a rule and its receipt go, and the operator's request down ``crm.changes``.

A rule names its person by ``subject_of`` alone: whoever knows the user id can find the receipt, nobody can read the id out of it.
"""

from __future__ import annotations

import hashlib
from typing import Literal
from uuid import UUID, uuid5

import msgspec

_NAMESPACE = UUID("5d2f4f3e-5a5c-4b5e-9a76-3c0d8e9b1f10")


class ErasureRequest(msgspec.Struct, frozen=True, kw_only=True):
    """An operator's wish, in the order of the CRM's changes: erase what the customer had up to ``issued_us`` (microseconds since the epoch).

    The customer is named by ``customer_id`` or by ``user_id``, as text. Its key in the topic is ``request_key``.
    """

    request_id: str
    issued_us: int
    customer_id: str | None = None
    user_id: str | None = None
    type: Literal["erasure-request"] = "erasure-request"


encode_request = msgspec.json.Encoder().encode
decode_request = msgspec.json.Decoder(ErasureRequest).decode


def request_key(request_id: str) -> bytes:
    """The record key of a request: JSON like the connector's keys, and unlike any of them."""
    return msgspec.json.encode({"erasure_request": request_id})


def subject_of(user_id: str) -> str:
    """SHA-256 of the user id in lower case, as 64 hexadecimal digits. User ids are random UUIDs: they cannot be guessed back."""
    return hashlib.sha256(user_id.lower().encode()).hexdigest()


def erasure_id(customer_id: str, crm_offset: int) -> str:
    """The name of the erasure that the CRM record at *crm_offset* asks for: the same record, the same name."""
    return str(uuid5(_NAMESPACE, f"{customer_id}@{crm_offset}"))

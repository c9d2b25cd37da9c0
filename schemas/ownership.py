"""The ownership document: who owned one prosthesis when, as the directory sends it down ``prosthesis.log``.

A document is whole (all of a prosthesis's history) and carries the CRM offset it was made at; receivers ignore lower offsets than the one they have.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from schemas.ranges import MAX_INTEGER_ID, OUTERMOST_US

Instant = Annotated[int, Meta(ge=-OUTERMOST_US, le=OUTERMOST_US)]


class Ownership(msgspec.Struct, frozen=True):
    """One effective interval, half-open, in microseconds since the epoch; ``ends_us`` None means open. Intervals of one document are disjoint and sorted."""

    starts_us: Instant
    ends_us: Instant | None
    user_id: str
    customer_id: str
    customer_name: str
    timezone: str
    contract_id: str
    contract_number: str


class OwnershipDocument(msgspec.Struct, frozen=True):
    prosthesis_id: str
    crm_offset: Annotated[int, Meta(ge=-1, le=MAX_INTEGER_ID)]
    model: str
    serial_number: str
    intervals: tuple[Ownership, ...]
    type: Literal["ownership"] = "ownership"


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(OwnershipDocument).decode

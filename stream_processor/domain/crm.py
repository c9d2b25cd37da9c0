"""Records of ``crm.changes``: a change of any table of the CRM, or an operator's request for an erasure."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from schemas.erasure import ErasureRequest
from schemas.ranges import END_US

CrmRow = dict[str, Any]
"""A row of any table of the CRM as it came, by the source's column names."""


class _Source(msgspec.Struct):
    table: str = ""
    ts_ms: Annotated[int, Meta(ge=0, le=END_US // 1000)] = 0
    ts_us: Annotated[int, Meta(ge=0, le=END_US)] | None = None


class CrmEnvelope(msgspec.Struct):
    """A Debezium envelope of any CRM table."""

    op: str
    source: _Source
    before: CrmRow | None = None
    after: CrmRow | None = None

    @property
    def committed_us(self) -> int:
        """When the CRM committed the change, in microseconds since the epoch."""
        return self.source.ts_us or self.source.ts_ms * 1000


class _Kind(msgspec.Struct):
    type: str | None = None


_decode_kind = msgspec.json.Decoder(_Kind).decode
_decode_envelope = msgspec.json.Decoder(CrmEnvelope).decode
_decode_request = msgspec.json.Decoder(ErasureRequest).decode


def decode_crm(value: bytes) -> CrmEnvelope | ErasureRequest:
    """A record of ``crm.changes``. Raises msgspec.DecodeError for anything that is neither."""
    return _decode_envelope(value) if _decode_kind(value).type is None else _decode_request(value)

"""Debezium's envelopes of telemetry, decoded: fast where the source's columns have the types that JSON has, readable where they have others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from schemas.mapping import TelemetryTable
from schemas.ranges import END_US, MAX_INTEGER_ID
from stream_processor.domain.rows import identity_struct, row_struct, with_number_ids
from stream_processor.domain.values import SourceRow


class Source(msgspec.Struct, gc=False, frozen=True):
    """Debezium's source block, as far as it is needed: ``lsn`` orders the changes of one row, ``ts_ms`` is the database's commit time."""

    lsn: Annotated[int, Meta(ge=0, le=MAX_INTEGER_ID)] | None = None
    ts_ms: Annotated[int, Meta(ge=0, le=END_US // 1000)] = 0
    table: str = ""


_NO_SOURCE = Source()


class LooseEnvelope(msgspec.Struct):
    """An envelope whose rows are left as bytes, for records that no typed decode reads."""

    op: str
    after: msgspec.Raw = msgspec.Raw(b"null")
    before: msgspec.Raw = msgspec.Raw(b"null")
    source: Source = _NO_SOURCE


def _envelope_of(row: type[msgspec.Struct]) -> type[msgspec.Struct]:
    """Debezium's envelope of rows *row*; our own records have a ``type`` instead."""
    fields: list[tuple[str, Any, Any]] = [
        ("op", str | None, None),
        ("after", row | None, None),
        ("before", row | None, None),
        ("source", Source, _NO_SOURCE),
        ("type", str | None, None),
    ]
    return msgspec.defstruct("Envelope", fields, gc=False)


class EnvelopeDecoder:
    """Decodes the envelopes of one table. The strict decoder reads the usual types; the lax one also numbers and booleans that came as text, at about its speed."""

    def __init__(self, table: TelemetryTable) -> None:
        lax = row_struct(table, lax=True)
        self._strict: Callable[[Any], Any] = msgspec.json.Decoder(_envelope_of(row_struct(table))).decode
        self._lax: Callable[[Any], Any] = msgspec.json.Decoder(_envelope_of(lax), strict=False).decode
        self._row = msgspec.json.Decoder(lax, strict=False).decode
        self._ids = msgspec.json.Decoder(identity_struct(table)).decode
        self.loose = msgspec.json.Decoder(LooseEnvelope).decode
        """An envelope with its rows as bytes. Raises msgspec.DecodeError."""

    def many(self, values: Sequence[bytes | None]) -> list[Any] | None:
        """All envelopes, or None where one of them can be read by neither decoder."""
        with suppress(msgspec.DecodeError, TypeError):
            return list(map(self._strict, values))
        with suppress(msgspec.DecodeError, TypeError):
            return list(map(self.one, values))
        return None

    def one(self, value: bytes | None) -> Any:
        """One envelope. Raises msgspec.DecodeError or TypeError with what is wrong."""
        envelope = self._lax(value)
        with_number_ids(envelope.after)
        with_number_ids(envelope.before)
        return envelope

    def row(self, raw: msgspec.Raw) -> SourceRow | None:
        """A row by itself; None where there is none or it is invalid."""
        with suppress(msgspec.DecodeError):
            return None if bytes(raw) == b"null" else with_number_ids(self._row(raw))
        return None

    def problem(self, raw: msgspec.Raw) -> str:
        """What is wrong with an ``after`` that ``row`` finds invalid."""
        try:
            with_number_ids(self._row(raw))
        except msgspec.DecodeError as error:
            return str(error).replace("`$", "`$.after", 1)
        return ""

    def ids(self, raw: msgspec.Raw) -> SourceRow | None:
        """The ids of a row of which something else is invalid; None where they are invalid too."""
        with suppress(msgspec.DecodeError):
            return None if bytes(raw) == b"null" else with_number_ids(self._ids(raw))
        return None

"""Rows of the source become canonical columns, under the rules of ``docs/metrics.md``.

The mapping makes two things: a msgspec struct that decodes a row and checks ranges as it goes, and a ``RowReader`` that turns
many decoded rows into columns. What is invalid is named, never dropped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
import numpy as np
from msgspec import UNSET, Meta, UnsetType

from schemas import ranges
from schemas.mapping import IdColumn, SourceMapping, TelemetryTable
from schemas.raw_telemetry import Ints, TelemetryColumns
from stream_processor.domain.facets import FACETS
from stream_processor.domain.instants import read_times
from stream_processor.domain.values import InvalidRow, SourceRow, numbers, required, values

_MASK64 = (1 << 64) - 1


def _id_type(column: IdColumn, lax: bool) -> Any:
    if column.type == "uuid":
        return UUID
    number = Annotated[int, Meta(ge=0, le=ranges.MAX_INTEGER_ID)]
    return number | Annotated[str, Meta(pattern=rf"^{ranges.INTEGER_ID}\Z")] if lax else number


def row_struct(table: TelemetryTable, *, lax: bool = False) -> type[msgspec.Struct]:
    """The struct of one row: canonical attribute names, the source's column names on the wire, ranges checked while decoding.

    *lax*: for a decoder that reads numbers and booleans out of texts too; ids keep the text they came as, see ``with_number_ids``.
    """
    time = {"timestamp": str}
    fields: list[tuple[str, Any, Any]] = []
    names: dict[str, str] = {}

    def add(name: str, column: str, kind: Any, *, added: bool = False) -> None:
        names[name] = column
        # A column that is absent is not null: it was renamed or dropped, and nothing is known of its value.
        fields.append((name, kind | None, None) if added else (name, kind | None | UnsetType, UNSET))

    add("event_id", table.event_id.column, _id_type(table.event_id, lax))
    add("prosthesis_id", table.prosthesis_id.column, _id_type(table.prosthesis_id, lax))
    add("recorded_at", table.recorded_at.column, time.get(table.recorded_at.unit, int))
    if table.received_at:
        add("received_at", table.received_at.column, time.get(table.received_at.unit, int))
    if table.kind:
        add("kind", table.kind.column, Literal[tuple(table.kind.values)])
    for facet in FACETS:
        for name, field in facet.source_fields(table).items():
            add(name, field.column, field.kind, added=field.added)
    return msgspec.defstruct("Row", fields, rename=names, gc=False)


def with_number_ids(row: SourceRow | None) -> SourceRow | None:
    """*row*, whose integer ids may have come as text, with numbers in their place."""
    if row is not None:
        if isinstance(row.event_id, str):
            row.event_id = int(row.event_id)
        if isinstance(row.prosthesis_id, str):
            row.prosthesis_id = int(row.prosthesis_id)
    return row


def identity_struct(table: TelemetryTable) -> type[msgspec.Struct]:
    """The struct of the two ids of a row alone, for rows of which something else is invalid."""
    columns = {"event_id": table.event_id, "prosthesis_id": table.prosthesis_id}
    fields = [(name, _id_type(column, lax=True) | None, None) for name, column in columns.items()]
    return msgspec.defstruct("Identity", fields, rename={name: column.column for name, column in columns.items()}, gc=False)


def absent(row: SourceRow) -> list[str]:
    """The mapped columns that a row, decoded by ``row_struct``'s struct, has not at all."""
    return [field.encode_name for field in msgspec.structs.fields(row) if getattr(row, field.name) is UNSET]


def tells_nothing(row: Mapping[str, Any], table: TelemetryTable) -> bool:
    """Whether *row*, the old content of a deleted row, says nothing but its key: null, or what Debezium invents for columns that may not be null.

    That is how it comes from a table whose replica identity is not FULL.
    """
    columns = (getattr(table, name) for name in TelemetryTable.model_fields if name not in ("table", "event_id"))
    return all(_is_blank(row.get(column.column)) for column in columns if column is not None)


def _is_blank(value: Any) -> bool:
    return not value or (isinstance(value, str) and value.startswith("1970-01-01T00:00:00"))


def halves(event_id: int | UUID) -> tuple[int, int]:
    """An event id as raw holds it: its high and low 64 bits."""
    number = event_id if isinstance(event_id, int) else event_id.int
    return number >> 64, number & _MASK64


@dataclass(frozen=True, slots=True)
class Canonical:
    """Columns of the valid rows, the index of each in the input, and (index, reason) of the invalid ones."""

    columns: TelemetryColumns
    index: Ints
    invalid: list[tuple[int, str]]


class RowReader:
    """Turns decoded rows into columns. Pure; one instance a mapping."""

    def __init__(self, mapping: SourceMapping) -> None:
        self._table = mapping.telemetry
        self._far_future_us = mapping.far_future_s * 1_000_000
        self._mapped = {facet: tuple(facet.source_fields(self._table)) for facet in FACETS}
        bits = {facet.name: facet.bit for facet in FACETS}
        self._kinds = {word: bits[name] for word, name in self._table.kind.values.items()} if self._table.kind else {}

    def read(self, rows: Sequence[SourceRow], committed_ms: Ints) -> Canonical:
        """Columns of *rows*; *committed_ms* is the source's commit time of each, in milliseconds, used where no ``received_at`` is mapped."""
        try:
            return Canonical(self._columns(rows, committed_ms), np.arange(len(rows)), [])
        except (InvalidRow, TypeError, ValueError, OverflowError):
            return self._without_invalid(rows, committed_ms)

    def _without_invalid(self, rows: Sequence[SourceRow], committed_ms: Ints) -> Canonical:
        """Some row is invalid: find which. Valid neighbours are read as if it were not there."""
        invalid: list[tuple[int, str]] = []
        self._find_invalid(rows, committed_ms, 0, len(rows), invalid)
        good = np.delete(np.arange(len(rows)), [i for i, _ in invalid])
        return Canonical(self._columns([rows[i] for i in good.tolist()], committed_ms[good]), good, invalid)

    def _find_invalid(self, rows: Sequence[SourceRow], committed_ms: Ints, begin: int, end: int, invalid: list[tuple[int, str]]) -> None:
        """Halve until what is refused is one row: a few bad rows must not make all the others expensive."""
        try:
            self._columns(rows[begin:end], committed_ms[begin:end])
        except (InvalidRow, TypeError, ValueError, OverflowError) as error:
            if end - begin == 1:
                invalid.append((begin, str(error)))
                return
            middle = (begin + end) // 2
            self._find_invalid(rows, committed_ms, begin, middle, invalid)
            self._find_invalid(rows, committed_ms, middle, end, invalid)

    def _columns(self, rows: Sequence[SourceRow], committed_ms: Ints) -> TelemetryColumns:
        """Columns of rows that must all be valid. Raises InvalidRow (or what NumPy raises on a malformed value) otherwise."""
        columns = TelemetryColumns.blank(len(rows))
        if not rows:
            return columns
        self._read_ids(rows, columns)
        columns.recorded_us = read_times(values(rows, "recorded_at"), self._table.recorded_at)
        self._check_times(rows, columns.recorded_us, committed_ms)
        columns.facets = self._facets(rows)
        self._read_facets(rows, columns)
        return columns

    def _read_ids(self, rows: Sequence[SourceRow], columns: TelemetryColumns) -> None:
        required("prosthesis_id", values(rows, "prosthesis_id"))
        if self._table.event_id.type == "integer":
            columns.event_id_lo = numbers("event_id", rows, np.uint64)
            if columns.event_id_lo.max() > ranges.MAX_INTEGER_ID:
                raise InvalidRow("event_id: out of range")
            return
        whole = [value.int for value in required("event_id", values(rows, "event_id"))]
        columns.event_id_hi = np.array([number >> 64 for number in whole], dtype=np.uint64)
        columns.event_id_lo = np.array([number & _MASK64 for number in whole], dtype=np.uint64)

    def _check_times(self, rows: Sequence[SourceRow], recorded_us: Ints, committed_ms: Ints) -> None:
        if recorded_us.min() < ranges.EARLIEST_US or recorded_us.max() >= ranges.END_US:
            raise InvalidRow("recorded_at: out of range")
        column = self._table.received_at
        received_us = committed_ms * 1000 if column is None else read_times(values(rows, "received_at"), column)
        if (recorded_us > received_us + self._far_future_us).any():
            raise InvalidRow("recorded_at: too far in the future")

    def _facets(self, rows: Sequence[SourceRow]) -> Ints:
        if self._table.kind:
            kinds = map(attrgetter("kind"), rows)
            try:
                return np.fromiter(map(self._kinds.__getitem__, kinds), np.uint8, len(rows))
            except KeyError as error:
                raise InvalidRow(f"kind: {error.args[0]!r} is unknown") from None
        facets = np.zeros(len(rows), dtype=np.uint8)
        for facet, names in self._mapped.items():
            if not names:
                continue
            found = values(rows, names[0])
            if UNSET in found:
                raise InvalidRow(f"{names[0]}: has no column")
            present = np.array([value is not None for value in found])
            facets |= present.astype(np.uint8) * np.uint8(facet.bit)
        if not facets.all():
            raise InvalidRow("row carries no facet")
        return facets

    def _read_facets(self, rows: Sequence[SourceRow], columns: TelemetryColumns) -> None:
        for facet, names in self._mapped.items():
            at = np.flatnonzero(columns.facets & facet.bit)
            if not len(at):
                continue
            if not names:
                raise InvalidRow(f"kind: the mapping has no columns for {facet.name}")
            facet.read([rows[i] for i in at.tolist()], self._table, columns, at)

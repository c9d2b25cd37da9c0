"""Rows of the source become canonical columns, under the rules of ``docs/metrics.md``.

The mapping makes two things: a msgspec struct that decodes a row and checks ranges as it goes, and a ``RowReader`` that turns
many decoded rows into columns. What is invalid is named, never dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
import numpy as np
from msgspec import UNSET, Meta, UnsetType

from schemas import ranges
from schemas.mapping import IdColumn, SourceMapping, TelemetryTable
from stream_processor.domain.columns import BATTERY, ERROR, LOCATION, SIGNAL, Ints, TelemetryColumns
from stream_processor.domain.instants import read_times

FACET_BITS = {"signal": SIGNAL, "battery": BATTERY, "error": ERROR, "location": LOCATION}
SEVERITIES = {"info": 1, "warning": 2, "critical": 3}
MICRODEGREES_PER_CELL = 100_000
_MASK64 = (1 << 64) - 1

Row = Any  # an instance of the struct made by row_struct()


class InvalidRow(ValueError):  # noqa: N818 - named for what it is
    """A row that breaks a rule of docs/metrics.md; the message names the field."""


def _number(least: float, greatest: float) -> Any:
    """An optional number within a range, whichever of its numeric types the source has."""
    return Annotated[float, Meta(ge=least, le=greatest)] | None


def _amount(upper: int, factor: int) -> Any:
    """An optional number of the source whose value times *factor* is within 0 … *upper*."""
    return _number(0, upper / factor)


def _angle(limit: int, factor: int) -> Any:
    return _number(-limit * 1_000_000 / factor, limit * 1_000_000 / factor)


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

    def add(name: str, column: str, kind: Any) -> None:
        names[name] = column
        # A column that is absent is not null: it was renamed or dropped, and nothing is known of its value.
        fields.append((name, kind | None | UnsetType, UNSET))

    add("event_id", table.event_id.column, _id_type(table.event_id, lax))
    add("prosthesis_id", table.prosthesis_id.column, _id_type(table.prosthesis_id, lax))
    add("recorded_at", table.recorded_at.column, time.get(table.recorded_at.unit, int))
    if table.received_at:
        add("received_at", table.received_at.column, time.get(table.received_at.unit, int))
    if table.kind:
        add("kind", table.kind.column, Literal[tuple(table.kind.values)])
    if table.amplitude and table.recognised and table.active:
        add("amplitude", table.amplitude.column, _amount(ranges.MAX_AMPLITUDE_UV, table.amplitude.factor))
        add("recognised", table.recognised.column, bool)
        add("active", table.active.column, _amount(ranges.MAX_ACTIVE_MS, table.active.factor))
    if table.battery:
        add("battery", table.battery.column, _amount(ranges.MAX_BATTERY_BP, table.battery.factor))
    if table.error_code and table.error_severity:
        add("error_code", table.error_code.column, Annotated[str, Meta(pattern=rf"^{ranges.ERROR_CODE}\Z")])
        add("error_severity", table.error_severity.column, Literal[tuple(table.error_severity.values)])
    if table.latitude and table.longitude:
        add("latitude", table.latitude.column, _angle(ranges.MAX_LATITUDE, table.latitude.factor))
        add("longitude", table.longitude.column, _angle(ranges.MAX_LONGITUDE, table.longitude.factor))
    return msgspec.defstruct("Row", fields, rename=names, gc=False)


def with_number_ids(row: Row | None) -> Row | None:
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


def absent(row: Row) -> list[str]:
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
        self._facet_fields = self._required_fields(mapping.telemetry)
        self._kinds = {word: FACET_BITS[facet] for word, facet in mapping.telemetry.kind.values.items()} if mapping.telemetry.kind else {}
        severity = mapping.telemetry.error_severity
        self._severities = {word: SEVERITIES[level] for word, level in severity.values.items()} if severity else {}

    @staticmethod
    def _required_fields(table: TelemetryTable) -> dict[int, tuple[str, ...]]:
        wanted = {
            SIGNAL: ("amplitude", "recognised", "active") if table.amplitude else (),
            BATTERY: ("battery",) if table.battery else (),
            ERROR: ("error_code", "error_severity") if table.error_code else (),
            LOCATION: ("latitude", "longitude") if table.latitude else (),
        }
        return {bit: names for bit, names in wanted.items() if names}

    def read(self, rows: Sequence[Row], committed_ms: Ints) -> Canonical:
        """Columns of *rows*; *committed_ms* is the source's commit time of each, in milliseconds, used where no ``received_at`` is mapped."""
        try:
            return Canonical(self._columns(rows, committed_ms), np.arange(len(rows)), [])
        except (InvalidRow, TypeError, ValueError, OverflowError):
            return self._without_invalid(rows, committed_ms)

    def _without_invalid(self, rows: Sequence[Row], committed_ms: Ints) -> Canonical:
        """Some row is invalid: find which. Valid neighbours are read as if it were not there."""
        invalid: list[tuple[int, str]] = []
        self._find_invalid(rows, committed_ms, 0, len(rows), invalid)
        good = np.delete(np.arange(len(rows)), [i for i, _ in invalid])
        return Canonical(self._columns([rows[i] for i in good.tolist()], committed_ms[good]), good, invalid)

    def _find_invalid(self, rows: Sequence[Row], committed_ms: Ints, begin: int, end: int, invalid: list[tuple[int, str]]) -> None:
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

    def _columns(self, rows: Sequence[Row], committed_ms: Ints) -> TelemetryColumns:
        """Columns of rows that must all be valid. Raises InvalidRow (or what NumPy raises on a malformed value) otherwise."""
        columns = TelemetryColumns.blank(len(rows))
        if not rows:
            return columns
        self._read_ids(rows, columns)
        columns.recorded_us = read_times(_values(rows, "recorded_at"), self._table.recorded_at)
        self._check_times(rows, columns.recorded_us, committed_ms)
        columns.facets = self._facets(rows)
        self._read_signals(rows, columns)
        self._read_batteries(rows, columns)
        self._read_errors(rows, columns)
        self._read_locations(rows, columns)
        return columns

    def _read_ids(self, rows: Sequence[Row], columns: TelemetryColumns) -> None:
        _require("prosthesis_id", _values(rows, "prosthesis_id"))
        if self._table.event_id.type == "integer":
            columns.event_id_lo = _numbers("event_id", rows, np.uint64)
            if columns.event_id_lo.max() > ranges.MAX_INTEGER_ID:
                raise InvalidRow("event_id: out of range")
            return
        numbers = [value.int for value in _require("event_id", _values(rows, "event_id"))]
        columns.event_id_hi = np.array([number >> 64 for number in numbers], dtype=np.uint64)
        columns.event_id_lo = np.array([number & _MASK64 for number in numbers], dtype=np.uint64)

    def _check_times(self, rows: Sequence[Row], recorded_us: Ints, committed_ms: Ints) -> None:
        if recorded_us.min() < ranges.EARLIEST_US or recorded_us.max() >= ranges.END_US:
            raise InvalidRow("recorded_at: out of range")
        column = self._table.received_at
        received_us = committed_ms * 1000 if column is None else read_times(_values(rows, "received_at"), column)
        if (recorded_us > received_us + self._far_future_us).any():
            raise InvalidRow("recorded_at: too far in the future")

    def _facets(self, rows: Sequence[Row]) -> Ints:
        if self._table.kind:
            kinds = map(attrgetter("kind"), rows)
            try:
                return np.fromiter(map(self._kinds.__getitem__, kinds), np.uint8, len(rows))
            except KeyError as error:
                raise InvalidRow(f"kind: {error.args[0]!r} is unknown") from None
        facets = np.zeros(len(rows), dtype=np.uint8)
        for bit, names in self._facet_fields.items():
            values = _values(rows, names[0])
            if UNSET in values:
                raise InvalidRow(f"{names[0]}: has no column")
            present = np.array([value is not None for value in values])
            facets |= present.astype(np.uint8) * np.uint8(bit)
        if not facets.all():
            raise InvalidRow("row carries no facet")
        return facets

    def _of(self, bit: int, rows: Sequence[Row], facets: Ints) -> tuple[Ints, list[Row]]:
        """The indices and the rows that carry facet *bit*."""
        if bit not in self._facet_fields:
            if (facets & bit).any():
                raise InvalidRow(f"kind: the mapping has no columns for facet {bit}")
            return np.zeros(0, dtype=np.int64), []
        index = np.flatnonzero(facets & bit)
        return index, [rows[i] for i in index.tolist()]

    def _read_signals(self, rows: Sequence[Row], columns: TelemetryColumns) -> None:
        index, signals = self._of(SIGNAL, rows, columns.facets)
        if signals and self._table.amplitude and self._table.active:
            columns.amplitude_uv[index] = _scaled("amplitude", signals, self._table.amplitude.factor)
            columns.recognised[index] = _numbers("recognised", signals, np.uint8)
            columns.active_ms[index] = _scaled("active", signals, self._table.active.factor)

    def _read_batteries(self, rows: Sequence[Row], columns: TelemetryColumns) -> None:
        index, batteries = self._of(BATTERY, rows, columns.facets)
        if batteries and self._table.battery:
            columns.battery_bp[index] = _scaled("battery", batteries, self._table.battery.factor)

    def _read_errors(self, rows: Sequence[Row], columns: TelemetryColumns) -> None:
        index, errors = self._of(ERROR, rows, columns.facets)
        if not errors:
            return
        columns.error_code[index] = _require("error_code", _values(errors, "error_code"))
        severities = _require("error_severity", _values(errors, "error_severity"))
        columns.error_severity[index] = [self._severities[word] for word in severities]

    def _read_locations(self, rows: Sequence[Row], columns: TelemetryColumns) -> None:
        index, places = self._of(LOCATION, rows, columns.facets)
        if places and self._table.latitude and self._table.longitude:
            columns.lat_cell[index] = _cells("latitude", places, self._table.latitude.factor)
            columns.lon_cell[index] = _cells("longitude", places, self._table.longitude.factor)


def _values(rows: Iterable[Row], name: str) -> list[Any]:
    return list(map(attrgetter(name), rows))


def _require(name: str, values: list[Any]) -> list[Any]:
    if None in values or UNSET in values:
        raise InvalidRow(f"{name}: is missing")
    return values


def _numbers(name: str, rows: Sequence[Row], dtype: type[np.generic]) -> Ints:
    """A column of numbers that each row must have."""
    try:
        column: Ints = np.fromiter(map(attrgetter(name), rows), dtype, len(rows))
    except TypeError:
        raise InvalidRow(f"{name}: is missing") from None
    if dtype is np.float64 and np.isnan(column).any():  # which is how NumPy reads None; JSON has no NaN
        raise InvalidRow(f"{name}: is missing")
    return column


def _scaled(name: str, rows: Sequence[Row], factor: int) -> Ints:
    scaled: Ints = np.rint(_numbers(name, rows, np.float64) * factor).astype(np.int64)
    return scaled


def _cells(name: str, rows: Sequence[Row], factor: int) -> Ints:
    return np.floor_divide(_scaled(name, rows, factor), MICRODEGREES_PER_CELL)

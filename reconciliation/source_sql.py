"""The source mapping as SQL: each canonical value as an expression over the source's own columns.

Names are quoted as identifiers and texts as literals, so that no mapping can smuggle in SQL. A number is held against its range before it is computed with
(``columns_sql``), so that no row of a source can make a query fail.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from typing import Any

import msgspec
from psycopg import Connection, sql

from reconciliation.columns_sql import FAR_US, Columns, types_of
from reconciliation.erasures import Erased
from schemas import ranges
from schemas.mapping import Active, Amplitude, Angle, Battery, Facet, SourceMapping, TelemetryTable


def query(name: str, **parts: sql.Composable) -> sql.Composed:
    """The file ``sql/<name>.sql`` with its braces filled. Raises KeyError where a part is missing."""
    text = resources.files("reconciliation").joinpath("sql", f"{name}.sql").read_text("utf-8")
    # The text is a file of this package, never input; what is filled in is quoted by its type.
    return sql.SQL(text).format(**parts)


def table(name: str) -> sql.Identifier:
    """``schema.table`` as a quoted identifier."""
    return sql.Identifier(*name.split("."))


def ownership_query(mapping: SourceMapping, crm: Connection[Any]) -> sql.Composed:
    """All effective ownership intervals; to be run on the CRM database, whose column types are asked for."""
    of = mapping.crm
    contracts = Columns("k", types_of(crm, table(of.contracts.table)))
    customers = Columns("c", types_of(crm, table(of.customers.table)))
    prostheses = Columns("p", types_of(crm, table(of.prostheses.table)))
    return query(
        "ownership",
        contracts=table(of.contracts.table),
        contract_id=contracts.text(of.contracts.id),
        contract_number=contracts.text(of.contracts.number),
        contract_customer_id=contracts.text(of.contracts.customer_id),
        contract_prosthesis_id=contracts.text(of.contracts.prosthesis_id),
        begins=contracts.instant(of.contracts.starts_at),
        starts_us=contracts.instant_us(of.contracts.starts_at, ranges.EARLIEST_US, ranges.END_US),
        ends=contracts.raw(of.contracts.ends_at.column),
        ends_us=contracts.instant_us(of.contracts.ends_at, ranges.EARLIEST_US, ranges.END_US),
        end_us=sql.Literal(ranges.END_US),
        ordered_id=sql.Literal(f"^{ranges.ORDERED_ID}$"),
        customers=table(of.customers.table),
        customer_id=customers.text(of.customers.id),
        customer_user_id=customers.text(of.customers.user_id),
        customer_name=customers.text(of.customers.name),
        customer_timezone=customers.text(of.customers.timezone),
        prostheses=table(of.prostheses.table),
        prosthesis_id=prostheses.text(of.prostheses.id),
        prosthesis_model=prostheses.text(of.prostheses.model),
        prosthesis_serial_number=prostheses.text(of.prostheses.serial_number),
    )


@dataclass(frozen=True)
class Which:
    """Which rows of telemetry: recorded in [*first*, *end*) where given, of the prostheses ``%(prostheses)s`` or of all but ``%(but)s``, of the ids ``%(ids)s``."""

    first: datetime | None = None
    end: datetime | None = None
    of_prostheses: bool = False
    but_prostheses: bool = False
    of_ids: bool = False

    def condition(self, telemetry: TelemetryTable, columns: Columns) -> sql.Composed:
        """On the table's own columns, as far as their types allow, for an index to serve it."""
        parts: list[sql.Composable] = [sql.SQL("true"), *columns.is_in(telemetry.recorded_at, self.first, self.end)]
        if self.of_prostheses:
            parts.append(columns.is_one_of(telemetry.prosthesis_id, "prostheses"))
        if self.but_prostheses:
            parts.append(sql.SQL("NOT {}").format(columns.is_one_of(telemetry.prosthesis_id, "but")))
        if self.of_ids:
            parts.append(columns.is_one_of(telemetry.event_id, "ids"))
        return sql.SQL(" AND ").join(parts)


def valid_events(mapping: SourceMapping, which: Which, types: Mapping[str, str], erased: Sequence[Erased] = ()) -> sql.Composed:
    """The rows of telemetry that are *which*, valid and not *erased*, in canonical units. *types*: of the table's columns."""
    telemetry, columns = mapping.telemetry, Columns("e", types)
    recognised = telemetry.recognised.column if telemetry.recognised else None
    return query(
        "valid_events",
        telemetry=table(telemetry.table),
        event_id=columns.event_id(telemetry.event_id),
        prosthesis_id=columns.prosthesis_id(telemetry.prosthesis_id),
        # A bound beyond either end: what is clamped to it is out of range.
        recorded_us=columns.instant_us(telemetry.recorded_at, 0, FAR_US),
        received_us=columns.instant_us(telemetry.received_at, 0, FAR_US) if telemetry.received_at else sql.SQL("NULL::bigint"),
        amplitude_uv=_scaled(columns, telemetry.amplitude, ranges.MAX_AMPLITUDE_UV),
        recognised=columns.boolean(recognised),
        recognised_absent=columns.is_absent(recognised),
        active_ms=_scaled(columns, telemetry.active, ranges.MAX_ACTIVE_MS),
        battery_bp=_scaled(columns, telemetry.battery, ranges.MAX_BATTERY_BP),
        error_code=columns.word(telemetry.error_code.column if telemetry.error_code else None),
        error_code_form=sql.Literal(f"^{ranges.ERROR_CODE}$"),
        error_severity=_translated(columns, telemetry.error_severity.column, telemetry.error_severity.values)
        if telemetry.error_severity
        else sql.SQL("NULL::text"),
        latitude_ud=_angle(columns, telemetry.latitude, ranges.MAX_LATITUDE),
        longitude_ud=_angle(columns, telemetry.longitude, ranges.MAX_LONGITUDE),
        within=which.condition(telemetry, columns),
        not_erased=_not_erased(erased),
        earliest_us=sql.Literal(ranges.EARLIEST_US),
        end_us=sql.Literal(ranges.END_US),
        in_time=_in_time(mapping),
        **{f"has_{facet}": _has(telemetry, columns, facet) for facet in ("signal", "battery", "error", "location")},
    )


def _in_time(mapping: SourceMapping) -> sql.Composable:
    if mapping.telemetry.received_at is None:
        return sql.SQL("true")
    return sql.SQL("recorded_us <= received_us + {}").format(sql.Literal(mapping.far_future_s * 1_000_000))


def _not_erased(erased: Sequence[Erased]) -> sql.Composable:
    """Without rules the condition is left out, and the query's plan is as if there were none."""
    if not erased:
        return sql.SQL("true")
    return query("not_erased", erased=sql.Literal(msgspec.json.encode([rule._asdict() for rule in erased]).decode()))


def _scaled(columns: Columns, column: Amplitude | Active | Battery | None, most: int) -> sql.Composed:
    """The column in canonical units, rounded half to even, as double precision; the value itself must be in range, not only what it is rounded to."""
    if column is None:
        return sql.SQL("NULL::double precision").format()
    return sql.SQL("round({} * {})").format(columns.number(column.column, 0, most / column.factor), sql.Literal(float(column.factor)))


def _angle(columns: Columns, column: Angle | None, limit: int) -> sql.Composed:
    """Microdegrees, not yet rounded."""
    if column is None:
        return sql.SQL("NULL::double precision").format()
    most = limit * 1_000_000 / column.factor
    return sql.SQL("({} * {})").format(columns.number(column.column, -most, most), sql.Literal(float(column.factor)))


def _translated(columns: Columns, column: str, values: Mapping[str, str]) -> sql.Composed:
    whens = [sql.SQL("WHEN {} THEN {}").format(sql.Literal(word), sql.Literal(meaning)) for word, meaning in values.items()]
    # A word that is not in the mapping reads '', which is no meaning; null stays null.
    return sql.SQL("CASE {0} {1} ELSE CASE WHEN {2} IS NOT NULL THEN '' END END").format(
        columns.word(column), sql.SQL(" ").join(whens), columns.raw(column)
    )


def _has(telemetry: TelemetryTable, columns: Columns, facet: Facet) -> sql.Composable:
    """Whether a row carries *facet*: by its kind, or, in a wide table, because the facet's first column is not null."""
    if telemetry.kind is not None:
        return sql.SQL("({} = {})").format(_translated(columns, telemetry.kind.column, telemetry.kind.values), sql.Literal(facet))
    first = {
        "signal": telemetry.amplitude,
        "battery": telemetry.battery,
        "error": telemetry.error_code,
        "location": telemetry.latitude,
    }[facet]
    if first is None:
        return sql.SQL("false")
    if facet == "error":
        return sql.SQL("({} IS NOT NULL)").format(columns.raw(first.column))
    return sql.SQL("(NOT {})").format(columns.is_absent(first.column))

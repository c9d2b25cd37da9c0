"""The source mapping as SQL: each canonical value as an expression over the source's own columns.

Names are quoted as identifiers and texts as literals, so that no mapping can smuggle in SQL. Numbers go through ``double precision``,
which holds every value in range exactly and overflows for none out of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from importlib import resources

import msgspec
from psycopg import sql

from reconciliation.erasures import Erased
from schemas.mapping import MICROSECONDS, Active, Amplitude, Angle, Battery, Facet, IdColumn, SourceMapping, TelemetryTable, TimeColumn

FOREVER_US = 32_503_680_000_000_000  # 3000-01-01 UTC: an interval without end
_NULL = sql.SQL("NULL")
_SQL_TYPE = {"integer": sql.SQL("bigint"), "uuid": sql.SQL("uuid")}


def query(name: str, **parts: sql.Composable) -> sql.Composed:
    """The file ``sql/<name>.sql`` with its braces filled. Raises KeyError where a part is missing."""
    text = resources.files("reconciliation").joinpath("sql", f"{name}.sql").read_text("utf-8")
    # The text is a file of this package, never input; what is filled in is quoted by its type.
    return sql.SQL(text).format(**parts)


def table(name: str) -> sql.Identifier:
    """``schema.table`` as a quoted identifier."""
    return sql.Identifier(*name.split("."))


def ownership_query(mapping: SourceMapping) -> sql.Composed:
    """All effective ownership intervals; to be run on the CRM database."""
    contracts, customers, prostheses = mapping.crm.contracts, mapping.crm.customers, mapping.crm.prostheses
    return query(
        "ownership",
        contracts=table(contracts.table),
        contract_id=sql.Identifier(contracts.id),
        contract_number=sql.Identifier(contracts.number),
        contract_customer_id=sql.Identifier(contracts.customer_id),
        contract_prosthesis_id=sql.Identifier(contracts.prosthesis_id),
        starts_us=_microseconds(contracts.starts_at, "k"),
        ends_us=_microseconds(contracts.ends_at, "k"),
        forever_us=sql.Literal(FOREVER_US),
        customers=table(customers.table),
        customer_id=sql.Identifier(customers.id),
        customer_user_id=sql.Identifier(customers.user_id),
        customer_name=sql.Identifier(customers.name),
        customer_timezone=sql.Identifier(customers.timezone),
        prostheses=table(prostheses.table),
        prosthesis_id=sql.Identifier(prostheses.id),
        prosthesis_model=sql.Identifier(prostheses.model),
        prosthesis_serial_number=sql.Identifier(prostheses.serial_number),
    )


def valid_events(mapping: SourceMapping, within: sql.Composable, erased: Sequence[Erased] = ()) -> sql.Composed:
    """The rows of telemetry that *within* (a condition on table ``e``) lets through, that are valid and not *erased*, in canonical units."""
    telemetry = mapping.telemetry
    severity = telemetry.error_severity
    return query(
        "valid_events",
        telemetry=table(telemetry.table),
        event_id=sql.Identifier(telemetry.event_id.column),
        prosthesis_id=sql.Identifier(telemetry.prosthesis_id.column),
        recorded_us=_microseconds(telemetry.recorded_at, "e"),
        received_us=_microseconds(telemetry.received_at, "e") if telemetry.received_at else sql.SQL("NULL::bigint"),
        amplitude_uv=_scaled(telemetry.amplitude),
        recognised=sql.SQL("{}::integer::boolean").format(_column(telemetry.recognised.column if telemetry.recognised else None)),
        active_ms=_scaled(telemetry.active),
        battery_bp=_scaled(telemetry.battery),
        error_code=sql.SQL("{}::text").format(_column(telemetry.error_code.column if telemetry.error_code else None)),
        error_severity=_translated(severity.column, severity.values) if severity else sql.SQL("NULL::text"),
        latitude_ud=_angle(telemetry.latitude),
        longitude_ud=_angle(telemetry.longitude),
        within=within,
        not_erased=_not_erased(erased),
        forever_us=sql.Literal(FOREVER_US),
        far_future_us=sql.Literal(mapping.far_future_s * 1_000_000),
        **{f"has_{facet}": _has(telemetry, facet) for facet in ("signal", "battery", "error", "location")},
    )


def _not_erased(erased: Sequence[Erased]) -> sql.Composable:
    """Without rules the condition is left out, and the query's plan is as if there were none."""
    if not erased:
        return sql.SQL("true")
    return query("not_erased", erased=sql.Literal(msgspec.json.encode([rule._asdict() for rule in erased]).decode()))


def within(mapping: SourceMapping, first: datetime | None, end: datetime | None, restricted: bool) -> sql.Composed:
    """A condition that an index on the source's own columns can serve: recorded in [first, end), of the prostheses ``%(prostheses)s``."""
    column = mapping.telemetry.recorded_at
    name = _column(column.column)
    parts: list[sql.Composable] = [sql.SQL("true")]
    if first is not None:
        parts.append(sql.SQL("{} >= {}").format(name, _instant(column, first)))
    if end is not None:
        parts.append(sql.SQL("{} < {}").format(name, _instant(column, end)))
    if restricted:
        parts.append(prosthesis_in(mapping.telemetry.prosthesis_id))
    return sql.SQL(" AND ").join(parts)


def event_in(column: IdColumn) -> sql.Composed:
    """``e.<event id> = ANY(%(ids)s)``, compared in the column's own type."""
    return sql.SQL("{} = ANY(%(ids)s::text[]::{}[])").format(_column(column.column), _SQL_TYPE[column.type])


def prosthesis_in(column: IdColumn) -> sql.Composed:
    """``e.<prosthesis> = ANY(%(prostheses)s)``, compared in the column's own type."""
    return sql.SQL("{} = ANY(%(prostheses)s::text[]::{}[])").format(_column(column.column), _SQL_TYPE[column.type])


def _column(name: str | None, of: str = "e") -> sql.Composable:
    return sql.Identifier(of, name) if name else _NULL


def _microseconds(column: TimeColumn, of: str) -> sql.Composed:
    """Microseconds since the epoch as bigint. Timestamps before 1970 (``-infinity`` too) read 0 and from 3000 on FOREVER_US: neither overflows."""
    name = _column(column.column, of)
    if column.unit != "timestamp":
        factor = MICROSECONDS[column.unit]
        return sql.SQL("(least(greatest({}::bigint, 0), {}) * {})").format(name, sql.Literal(FOREVER_US // factor), sql.Literal(factor))
    return sql.SQL(
        "(CASE WHEN {0} < timestamptz '1970-01-01 00:00:00+00' THEN 0 WHEN {0} >= timestamptz '3000-01-01 00:00:00+00' THEN {1}"
        " ELSE (extract(epoch FROM {0}) * 1000000)::bigint END)"
    ).format(name, sql.Literal(FOREVER_US))


def _instant(column: TimeColumn, at: datetime) -> sql.Composable:
    if column.unit == "timestamp":
        return sql.SQL("{}::timestamptz").format(sql.Literal(at.isoformat()))
    return sql.Literal((at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=MICROSECONDS[column.unit]))


def _scaled(column: Amplitude | Active | Battery | None) -> sql.Composed:
    """The column in canonical units, rounded half to even, as double precision."""
    if column is None:
        return sql.SQL("{}::double precision").format(_NULL)
    return sql.SQL("round({}::double precision * {})").format(_column(column.column), sql.Literal(float(column.factor)))


def _angle(column: Angle | None) -> sql.Composed:
    """Microdegrees, not yet rounded, so that 90.0000001° is out of range and not 90°."""
    if column is None:
        return sql.SQL("{}::double precision").format(_NULL)
    return sql.SQL("({}::double precision * {})").format(_column(column.column), sql.Literal(float(column.factor)))


def _translated(column: str, values: Mapping[str, str]) -> sql.Composed:
    whens = [sql.SQL("WHEN {} THEN {}").format(sql.Literal(word), sql.Literal(meaning)) for word, meaning in values.items()]
    # A word that is not in the mapping reads '', which is no meaning; null stays null.
    return sql.SQL("CASE {0}::text {1} ELSE CASE WHEN {0} IS NOT NULL THEN '' END END").format(_column(column), sql.SQL(" ").join(whens))


def _has(telemetry: TelemetryTable, facet: Facet) -> sql.Composable:
    """Whether a row carries *facet*: by its kind, or, in a wide table, because the facet's first column is not null."""
    if telemetry.kind is not None:
        return sql.SQL("({} = {})").format(_translated(telemetry.kind.column, telemetry.kind.values), sql.Literal(facet))
    first = {
        "signal": telemetry.amplitude,
        "battery": telemetry.battery,
        "error": telemetry.error_code,
        "location": telemetry.latitude,
    }[facet]
    return sql.SQL("({} IS NOT NULL)").format(_column(first.column)) if first is not None else sql.SQL("false")

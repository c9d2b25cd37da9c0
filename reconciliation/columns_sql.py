"""Values of the source's columns as SQL, whatever type a column has: total expressions, which no row can make fail (connectors/README.md, "Column types").

PostgreSQL sees a column's type, the processor only what Debezium makes of it; so the type chooses the expression: direct for the types that telemetry mostly has, by
way of the value's text for all others. What cannot be read is ``NaN`` for numbers and null for times and ids.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg import Connection, sql
from psycopg.rows import tuple_row

from schemas import ranges
from schemas.mapping import MICROSECONDS, IdColumn, TimeColumn

FAR_US = 32_503_680_000_000_000  # 3000-01-01 UTC: when a row was received is read up to here
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_INTEGERS = frozenset({"smallint", "integer", "bigint"})
_DIRECT = _INTEGERS | {"double precision"}
_NO_WORDS = _DIRECT | {"real", "boolean"}  # what JSON has as no text can be no word
_ISO = r"^\d{4}-(0[1-9]|1[0-2])-\d\dT([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,9})?)?Z$"
# Domains as the type below them (of nested ones the next below, which is then read by its text).
_TYPES = """
    SELECT a.attname, format_type(coalesce(nullif(t.typbasetype, 0), t.oid), NULL)
    FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid
    WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped
"""


def types_of(connection: Connection[Any], table: sql.Identifier) -> dict[str, str]:
    """The type of each column of *table*, as PostgreSQL names it; none where there is no such table."""
    return {str(row[0]): str(row[1]) for row in connection.cursor(row_factory=tuple_row).execute(_TYPES, (table.as_string(connection),))}


@dataclass(frozen=True)
class Columns:
    """The columns of one table, which a query calls *of*. A column whose type is not known is read by its text."""

    of: str
    types: Mapping[str, str] = field(default_factory=dict)

    def raw(self, name: str | None) -> sql.Composable:
        """The column as it is; null where there is none."""
        return sql.Identifier(self.of, name) if name else sql.SQL("NULL")

    def text(self, name: str | None) -> sql.Composable:
        """The value's text, as Debezium has it."""
        kind = self.types.get(name or "")
        if kind == "character":  # a cast would take the blanks away that the type adds
            return sql.SQL("(CASE WHEN {0} IS NOT NULL THEN concat({0}) END)").format(self.raw(name))
        return sql.SQL("{}::numeric::text" if kind == "money" else "{}::text").format(self.raw(name))

    def word(self, name: str | None) -> sql.Composable:
        """A value of a list of words, or a code; an empty text where the type has none."""
        if self.types.get(name or "") in _NO_WORDS:
            return sql.SQL("(CASE WHEN {} IS NOT NULL THEN '' END)").format(self.raw(name))
        return self.text(name)

    def number(self, name: str | None, least: float, greatest: float) -> sql.Composable:
        """Double precision; NaN where there is a value and it is no number of the range. So nothing that is computed from it can overflow."""
        bounds = {"least": sql.Literal(float(least)), "greatest": sql.Literal(float(greatest))}
        if name is None:
            return sql.SQL("NULL::double precision")
        if self.types.get(name) in _DIRECT:
            return sql.SQL(
                "(CASE WHEN {x}::double precision BETWEEN {least}::double precision AND {greatest}::double precision"
                " THEN {x}::double precision WHEN {x} IS NOT NULL THEN 'NaN'::double precision END)"
            ).format(x=self.raw(name), **bounds)
        return sql.SQL(
            "(CASE WHEN {t} ~ {form} THEN CASE"
            " WHEN NOT pg_input_is_valid({t}, 'double precision') THEN"
            # Too great, or too close to zero: IEEE's nearest is 0.
            "  CASE WHEN NOT pg_input_is_valid({t}, 'numeric') THEN 'NaN'::double precision"
            "   WHEN abs({t}::numeric) < 1 THEN 0 ELSE 'NaN' END"
            " WHEN {t}::double precision BETWEEN {least} AND {greatest} THEN {t}::double precision ELSE 'NaN' END"
            " WHEN lower({t}) <> 'null' THEN 'NaN' END)"
        ).format(t=self.text(name), form=_whole(ranges.NUMBER), **bounds)

    def boolean(self, name: str | None) -> sql.Composable:
        """True or false; null where there is neither."""
        if name is None or self.types.get(name) in {"boolean", "double precision", "real"}:
            return sql.SQL("{}::boolean" if name is None or self.types[name] == "boolean" else "NULL::boolean").format(self.raw(name))
        return sql.SQL(
            "(CASE WHEN {t} IN ('true', 'True', 'TRUE', '1') THEN true WHEN {t} IN ('false', 'False', 'FALSE', '0') THEN false END)"
        ).format(t=self.text(name))

    def is_absent(self, name: str | None) -> sql.Composable:
        """Whether there is no value; the text ``null`` is none."""
        if name is None or self.types.get(name) in _NO_WORDS:
            return sql.SQL("({} IS NULL)").format(self.raw(name))
        return sql.SQL("(lower(coalesce({}, 'null')) = 'null')").format(self.text(name))

    def event_id(self, column: IdColumn) -> sql.Composable:
        """Its text: a canonical integer, or a UUID in lower case with hyphens; null where it is neither."""
        kind, text = self.types.get(column.column), self.text(column.column)
        if column.type == "uuid" and kind != "uuid":
            form = "^([0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$"
            return sql.SQL("(CASE WHEN {t} ~* {form} THEN {t}::uuid::text END)").format(t=text, form=sql.Literal(form))
        return self.prosthesis_id(column)

    def prosthesis_id(self, column: IdColumn) -> sql.Composable:
        """Its text where that is canonical, as the record's key has to be; null otherwise."""
        kind, text = self.types.get(column.column), self.text(column.column)
        if column.type == "uuid":
            return text if kind == "uuid" else sql.SQL("(CASE WHEN {t} ~ {form} THEN {t} END)").format(t=text, form=_whole(ranges.UUID_ID))
        if kind in _INTEGERS:
            return sql.SQL("(CASE WHEN {} >= 0 THEN {} END)").format(self.raw(column.column), text)
        return sql.SQL("(CASE WHEN {t} ~ {form} THEN CASE WHEN {t}::numeric <= {most} THEN {t} END END)").format(
            t=text, form=_whole(ranges.INTEGER_ID), most=sql.Literal(ranges.MAX_INTEGER_ID)
        )

    def instant_us(self, column: TimeColumn, least_us: int, most_us: int) -> sql.Composable:
        """Microseconds since the epoch as bigint, what is outside the bounds as the bound; null where it is no instant. Neither infinity overflows."""
        if column.unit != "timestamp":
            return self._epoch(column.column, MICROSECONDS[column.unit], least_us, most_us)
        return sql.SQL(
            "(CASE WHEN {x} < {least} THEN {least_us} WHEN {x} >= {most} THEN {most_us} ELSE (extract(epoch FROM {x}) * 1000000)::bigint END)"
        ).format(
            x=self.instant(column), least=_instant(least_us), least_us=_bigint(least_us), most=_instant(most_us), most_us=_bigint(most_us)
        )

    def instant(self, column: TimeColumn) -> sql.Composable:
        """The instant in a type whose order is that of time; null where it is none."""
        kind, x = self.types.get(column.column), self.raw(column.column)
        if column.unit != "timestamp":
            return x if kind in _INTEGERS else self._whole_number(column.column)
        if kind == "timestamp with time zone":
            return x
        if kind == "timestamp without time zone":
            return sql.SQL("({} AT TIME ZONE 'UTC')").format(x)
        form = sql.Literal(_ISO)
        return sql.SQL(
            "(CASE WHEN {t} IN ('infinity', '-infinity') THEN {t}::timestamptz WHEN {t} ~ {form} THEN"
            " CASE WHEN pg_input_is_valid({t}, 'timestamptz') THEN {t}::timestamptz END END)"
        ).format(t=self.text(column.column), form=form)

    def is_in(self, column: TimeColumn, first: datetime | None, end: datetime | None) -> list[sql.Composable]:
        """Conditions that an index on the column can serve where its type allows it."""
        kind, x = self.types.get(column.column), self.raw(column.column)
        found: list[sql.Composable] = []
        for sign, at in ((">=", first), ("<", end)):
            if at is None:
                continue
            us = (at - _EPOCH) // timedelta(microseconds=1)
            if column.unit == "timestamp" and kind == "timestamp with time zone":
                found.append(sql.SQL("{} " + sign + " {}").format(x, _instant(us)))
            elif column.unit == "timestamp" and kind == "timestamp without time zone":
                found.append(sql.SQL("{} " + sign + " ({} AT TIME ZONE 'UTC')").format(x, _instant(us)))
            elif column.unit != "timestamp" and kind in _INTEGERS:
                found.append(sql.SQL("{} " + sign + " {}").format(x, sql.Literal(us // MICROSECONDS[column.unit])))
            else:
                found.append(sql.SQL("{} " + sign + " {}").format(self.instant_us(column, 0, FAR_US), _bigint(us)))
        return found

    def is_one_of(self, column: IdColumn, parameter: str) -> sql.Composable:
        """Whether the id is one of the texts of *parameter*, compared in the column's own type where that is the id's."""
        listed = sql.Placeholder(parameter)
        kind = self.types.get(column.column)
        if kind in _INTEGERS or kind == "uuid":
            return sql.SQL("{} = ANY({}::text[]::{}[])").format(
                self.raw(column.column), listed, sql.SQL("uuid" if kind == "uuid" else "bigint")
            )
        return sql.SQL("{} = ANY({}::text[])").format(self.event_id(column), listed)

    def _epoch(self, name: str, factor: int, least_us: int, most_us: int) -> sql.Composable:
        number = self.raw(name) if self.types.get(name) in _INTEGERS else self._whole_number(name)
        return sql.SQL("(least(greatest({}, {}), {})::bigint * {})").format(
            number, _bigint(-(-least_us // factor)), _bigint(most_us // factor), sql.Literal(factor)
        )

    def _whole_number(self, name: str) -> sql.Composable:
        """A whole number of at most 64 bits, as numeric; null for any other value."""
        return sql.SQL(
            "(CASE WHEN {t} ~ {form} THEN CASE WHEN pg_input_is_valid({t}, 'numeric') THEN"
            " CASE WHEN {t}::numeric = trunc({t}::numeric) AND abs({t}::numeric) <= {most} THEN {t}::numeric END END END)"
        ).format(t=self.text(name), form=_whole(ranges.NUMBER), most=sql.Literal(ranges.MAX_INTEGER_ID))


def _whole(form: str) -> sql.Literal:
    return sql.Literal(f"^{form}$")


def _bigint(number: int) -> sql.Composable:
    return sql.SQL("{}::bigint").format(sql.Literal(number))


def _instant(us: int) -> sql.Composable:
    return sql.SQL("{}::timestamptz").format(sql.Literal((_EPOCH + timedelta(microseconds=us)).isoformat()))

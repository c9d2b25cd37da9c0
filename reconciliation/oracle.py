"""The oracle: reports recomputed by PostgreSQL from the two source databases. Every query runs on the connection that is given, in its snapshot."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import msgspec
from psycopg import Connection
from psycopg.rows import dict_row, tuple_row
from psycopg.sql import SQL, Composed, Identifier

from reconciliation.columns_sql import types_of
from reconciliation.day_range import DayRange, instant, micro
from reconciliation.digests import DayDigest, Digest
from reconciliation.erasures import Erased
from reconciliation.fields import FIELDS, KEY_FIELDS, Key, Report, Rows, Values, normal
from reconciliation.source_sql import Which, ownership_query, query, table, valid_events
from reconciliation.zones import local_days
from schemas.mapping import IdType, SourceMapping
from schemas.ranges import INTEGER_ID, MAX_INTEGER_ID, UUID_ID
from schemas.raw_telemetry import CONTENT
from schemas.zones import in_force

Interval = dict[str, Any]
"""One effective ownership interval, as ``sql/ownership.sql`` names its columns."""

# PostgreSQL cannot estimate the sizes of the query's intermediate results and would join them row by row (minutes for what takes a second).
# And a cursor's query is planned for all of its rows, not for the first ones.
_PLAN = """
    SELECT set_config('enable_nestloop', 'off', true), set_config('jit', 'off', true), set_config('work_mem', '128MB', true),
        set_config('cursor_tuple_fraction', '1.0', true)
"""
_ROWS_AT_ONCE = 2_000
_HOUR_S = 3_600
_STARTS, _ENDS, _ERRORS = map(FIELDS.index, ("day_starts_at", "day_ends_at", "errors_by_code"))
# Where each list stands; its length, 0 for the day's hours; and what stands where there is no value.
_LISTS = tuple(
    (FIELDS.index(name), length, absent)
    for name, length, absent in (
        ("usage_ms_by_hour", 0, 0),
        ("amplitude_histogram", 16, 0),
        ("battery_first_bp_by_hour", 0, -1),
        ("battery_last_bp_by_hour", 0, -1),
    )
)


@dataclass(frozen=True)
class Oracle:
    """Queries of one source mapping, under the erasure rules *erased*. What a query sees is decided by the connection's transaction."""

    mapping: SourceMapping
    erased: Sequence[Erased] = ()

    def intervals(self, crm: Connection[Any], prostheses: Sequence[str] | None = None) -> list[Interval]:
        """All effective ownership intervals, or those of *prostheses*."""
        with crm.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(ownership_query(self.mapping, crm)).fetchall()
        chosen = None if prostheses is None else frozenset(prostheses)
        return in_one_zone([row for row in rows if chosen is None or row["prosthesis_id"] in chosen])

    def reports(
        self, telemetry: Connection[Any], intervals: Sequence[Interval], days: DayRange, prostheses: Sequence[str] | None = None
    ) -> Rows:
        """What ``each_report`` gives, by key."""
        return dict(self.each_report(telemetry, intervals, days, prostheses))

    def each_report(
        self, telemetry: Connection[Any], intervals: Sequence[Interval], days: DayRange, prostheses: Sequence[str] | None = None
    ) -> Iterator[Report]:
        """Every report of *days* with at least one event, in the order of keys: of all prostheses that *intervals* name, or only of *prostheses*.

        Some of them at a time are held here; nothing else may be asked of the connection until all have been taken.
        """
        of_zones = list(local_days((interval["timezone"] for interval in intervals), days))
        if not of_zones:
            return
        first_us, end_us = min(day["starts_us"] for day in of_zones), max(day["ends_us"] for day in of_zones)
        events = self._valid(telemetry, Which(instant(first_us), instant(end_us), of_prostheses=prostheses is not None))
        parameters = {
            "intervals": _json([interval for interval in intervals if _touches(interval, first_us, end_us)]),
            "days": _json(of_zones),
            "prostheses": None if prostheses is None else canonical(prostheses, self.mapping.telemetry.prosthesis_id.type),
        }
        telemetry.execute(_PLAN)
        with telemetry.cursor("reports", binary=True, row_factory=tuple_row) as cursor:
            cursor.itersize = _ROWS_AT_ONCE
            cursor.execute(query("reports", valid_events=events), parameters)
            _check_columns(cursor.description or [])
            for user_id, report_date, prosthesis_id, *values in cursor:
                yield Key(user_id, report_date, prosthesis_id), _spread(values)

    def event_days(self, telemetry: Connection[Any], days: DayRange | None = None) -> dict[date, int]:
        """Valid events by UTC day, in order; of all time where *days* is None."""
        statement = query("event_days", valid_events=self._valid(telemetry, Which(*days.instants()) if days else Which()))
        with telemetry.cursor(row_factory=tuple_row) as cursor:
            return dict(cursor.execute(statement, {}).fetchall())

    def unowned(self, telemetry: Connection[Any], intervals: Sequence[Interval], days: DayRange) -> int:
        """How many valid events, recorded in the UTC days *days*, wait for an owner."""
        first, end = days.utc()
        # Most prostheses have one owner all the while: their rows need not even be looked at.
        owned = [interval["prosthesis_id"] for interval in intervals if _covers(interval, micro(first), micro(end))]
        statement = query("unowned", valid_events=self._valid(telemetry, Which(first, end, but_prostheses=True)))
        parameters = {"intervals": _json(intervals), "but": canonical(owned, self.mapping.telemetry.prosthesis_id.type)}
        with telemetry.cursor(row_factory=tuple_row) as cursor:
            found = cursor.execute(statement, parameters).fetchone()
        return int(found[0]) if found else 0

    def digests(self, telemetry: Connection[Any], first: datetime, end: datetime) -> Iterator[DayDigest]:
        """Valid events recorded in [first, end), by prosthesis and UTC day, in their order. As with ``each_report``, the connection is busy meanwhile."""
        events = query("events", valid_events=self._valid(telemetry, Which(first, end)))
        statement = query("digests", events=events, content=SQL(", ").join(map(Identifier, CONTENT)))
        telemetry.execute(_PLAN)
        with telemetry.cursor("digests", binary=True, row_factory=tuple_row) as cursor:
            cursor.itersize = _ROWS_AT_ONCE
            for prosthesis, day, count, checksum in cursor.execute(statement, {}):
                yield (prosthesis, day), Digest(count, checksum)

    def events(
        self, telemetry: Connection[Any], first: datetime, end: datetime, prostheses: Sequence[str] | None = None
    ) -> Iterator[tuple[Any, ...]]:
        """Valid events recorded in [first, end), of all prostheses or of *prostheses*: prosthesis, id as text, then the content that ``sql/events.sql`` lists."""
        statement = query("events", valid_events=self._valid(telemetry, Which(first, end, of_prostheses=prostheses is not None)))
        chosen = None if prostheses is None else canonical(prostheses, self.mapping.telemetry.prosthesis_id.type)
        with telemetry.cursor(row_factory=tuple_row) as cursor:
            yield from cursor.execute(statement, {"prostheses": chosen})

    def events_by_id(self, telemetry: Connection[Any], ids: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """The valid ones of the events with *ids*, whenever recorded, as ``events`` gives them."""
        statement = query("events", valid_events=self._valid(telemetry, Which(of_ids=True)))
        with telemetry.cursor(row_factory=tuple_row) as cursor:
            yield from cursor.execute(statement, {"ids": canonical(ids, self.mapping.telemetry.event_id.type)})

    def _valid(self, telemetry: Connection[Any], which: Which) -> Composed:
        return valid_events(self.mapping, which, types_of(telemetry, table(self.mapping.telemetry.table)), self.erased)


def _spread(values: list[Any]) -> Values:
    """A row of ``sql/reports.sql`` in the one form that is compared: its lists at their full length."""
    hours = -(-(values[_ENDS] - values[_STARTS]) // _HOUR_S)
    for at, length, absent in _LISTS:
        spread = [absent] * (length or hours)
        for place, value in zip(*(values[at] or ((), ())), strict=True):
            spread[place] = value
        values[at] = tuple(spread)
    values[_ERRORS] = values[_ERRORS] or {}
    return normal(values)


def in_one_zone(intervals: Sequence[Interval]) -> list[Interval]:
    """The zones in force, and one user's intervals of a prosthesis all in that of the first. *intervals* are in order of time."""
    first: dict[tuple[str, str], str] = {}
    return [i | {"timezone": first.setdefault((i["prosthesis_id"], i["user_id"]), in_force(i["timezone"]))} for i in intervals]


def _touches(interval: Interval, first_us: int, end_us: int) -> bool:
    return interval["starts_us"] < end_us and (interval["ends_us"] is None or interval["ends_us"] > first_us)


def _covers(interval: Interval, first_us: int, end_us: int) -> bool:
    return interval["starts_us"] <= first_us and (interval["ends_us"] is None or interval["ends_us"] >= end_us)


def canonical(ids: Iterable[str], id_type: IdType) -> list[str]:
    """Those of *ids* that a source's row can have: others, which a mart or a CRM may name, would not even be of the column's type."""
    form = re.compile(UUID_ID if id_type == "uuid" else INTEGER_ID).fullmatch
    return [i for i in ids if form(i) and (id_type == "uuid" or int(i) <= MAX_INTEGER_ID)]


def _json(rows: Sequence[dict[str, Any]]) -> str:
    return msgspec.json.encode(rows).decode()


def _check_columns(description: Sequence[Any]) -> None:
    names = tuple(column.name for column in description)
    if names != KEY_FIELDS + FIELDS:
        raise AssertionError(f"sql/reports.sql returns {names}, not the fields of a report in their order")

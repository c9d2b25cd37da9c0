"""The oracle: reports recomputed by PostgreSQL from the two source databases. Every query runs on the connection that is given, in its snapshot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import msgspec
from psycopg import Connection
from psycopg.rows import dict_row, tuple_row
from psycopg.sql import Composable, Composed

from reconciliation.day_range import DayRange
from reconciliation.erasures import Erased
from reconciliation.fields import FIELDS, KEY_FIELDS, Key, Rows, Values, normal
from reconciliation.source_sql import event_in, ownership_query, query, valid_events, within
from reconciliation.zones import in_force, local_days
from schemas.mapping import SourceMapping

Interval = dict[str, Any]
"""One effective ownership interval, as ``sql/ownership.sql`` names its columns."""

# PostgreSQL cannot estimate the sizes of the query's intermediate results and would join them row by row (minutes for what takes a second).
_PLAN = "SELECT set_config('enable_nestloop', 'off', true), set_config('jit', 'off', true), set_config('work_mem', '128MB', true)"


@dataclass(frozen=True)
class Oracle:
    """Queries of one source mapping, under the erasure rules *erased*. What a query sees is decided by the connection's transaction."""

    mapping: SourceMapping
    erased: Sequence[Erased] = ()

    def intervals(self, crm: Connection[Any], prostheses: Sequence[str] | None = None) -> list[Interval]:
        """All effective ownership intervals, or those of *prostheses*."""
        with crm.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(ownership_query(self.mapping)).fetchall()
        chosen = None if prostheses is None else frozenset(prostheses)
        return [row | {"timezone": in_force(row["timezone"])} for row in rows if chosen is None or row["prosthesis_id"] in chosen]

    def reports(
        self, telemetry: Connection[Any], intervals: Sequence[Interval], days: DayRange, prostheses: Sequence[str] | None = None
    ) -> Rows:
        """Every report of *days* with at least one event: of all prostheses that *intervals* name, or only of *prostheses*."""
        events = self._valid_events(days, restricted=prostheses is not None)
        parameters = {
            "intervals": _json(intervals),
            "days": _json(list(local_days((interval["timezone"] for interval in intervals), days))),
            "prostheses": None if prostheses is None else list(prostheses),
        }
        rows: dict[Key, Values] = {}
        with telemetry.cursor(row_factory=tuple_row) as cursor:
            cursor.execute(_PLAN)
            cursor.execute(query("reports", valid_events=events), parameters)
            _check_columns(cursor.description or [])
            for user_id, report_date, prosthesis_id, *values in cursor:
                rows[Key(user_id, report_date, prosthesis_id)] = tuple(normal(value) for value in values)
        return rows

    def event_days(self, telemetry: Connection[Any], days: DayRange | None = None) -> dict[date, int]:
        """Valid events by UTC day, in order; of all time where *days* is None."""
        statement = query("event_days", valid_events=self._valid_events(days, restricted=False))
        with telemetry.cursor(row_factory=tuple_row) as cursor:
            return dict(cursor.execute(statement, {}).fetchall())

    def unowned(self, telemetry: Connection[Any], intervals: Sequence[Interval], days: DayRange) -> int:
        """How many valid events, recorded in the UTC days *days*, wait for an owner."""
        start, end = days.utc()
        statement = query("unowned", valid_events=self._valid(within(self.mapping, start, end, restricted=False)))
        with telemetry.cursor(row_factory=tuple_row) as cursor:
            found = cursor.execute(statement, {"intervals": _json(intervals)}).fetchone()
        return int(found[0]) if found else 0

    def events(self, telemetry: Connection[Any], first: datetime, end: datetime) -> Iterator[tuple[Any, ...]]:
        """Valid events recorded in [first, end): prosthesis, id as text, then the content that ``sql/events.sql`` lists."""
        statement = query("events", valid_events=self._valid(within(self.mapping, first, end, restricted=False)))
        with telemetry.cursor(row_factory=tuple_row) as cursor:
            yield from cursor.execute(statement, {})

    def events_by_id(self, telemetry: Connection[Any], ids: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """The valid ones of the events with *ids*, whenever recorded, as ``events`` gives them."""
        statement = query("events", valid_events=self._valid(event_in(self.mapping.telemetry.event_id)))
        with telemetry.cursor(row_factory=tuple_row) as cursor:
            yield from cursor.execute(statement, {"ids": list(ids)})

    def _valid_events(self, days: DayRange | None, *, restricted: bool) -> Any:
        start, end = days.instants() if days else (None, None)
        return self._valid(within(self.mapping, start, end, restricted))

    def _valid(self, which: Composable) -> Composed:
        return valid_events(self.mapping, which, self.erased)


def _json(rows: Sequence[dict[str, Any]]) -> str:
    return msgspec.json.encode(rows).decode()


def _check_columns(description: Sequence[Any]) -> None:
    names = tuple(column.name for column in description)
    if names != KEY_FIELDS + FIELDS:
        raise AssertionError(f"sql/reports.sql returns {names}, not the fields of a report in their order")

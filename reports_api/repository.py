"""The one module with SQL: reads of the views that the mart's readers may see, always by the primary key's prefix, the user.

Every value travels as a server-side parameter. The views have no rows but those of named users (clickhouse/schema/views.sql), and a row of a user
who was not asked for is an error. Support's search has a view and an account apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Protocol, TypeVar

from reports_api.paging import START, Cursor, windows
from reports_api.pool import Parameters, Rows
from schemas.keys import LOG_TOPIC
from schemas.mart import MartRow, RowVersion
from schemas.reader_views import ErrorRow, OwnershipRow, TypicalHourRow, WearerRow

_ASKED = "(users = {users:Array(String)}, first = {first:Date32}, last = {last:Date32})"
# The texts are built of constants of this module only; values are parameters. Rows are bounded by the days asked for and by the reader's
# profile, and put in order here: with ORDER BY and LIMIT the server reads every granule twice (lazy columns, reverse order).
_ROWS = f"SELECT report FROM reports_of_users{_ASKED}"  # noqa: S608
_VERSIONS = f"SELECT report FROM report_versions_of_users{_ASKED}"  # noqa: S608
_ERRORS = f"SELECT report FROM errors_of_users{_ASKED[:-1]}, most = {{most:UInt32}})"  # noqa: S608
_TYPICAL = (
    f"SELECT report FROM typical_day_of_users{_ASKED[:-1]}, prosthesis = {{prosthesis:String}}, "  # noqa: S608
    "partitions = {partitions:Array(UInt16)}, until = {until:Array(UInt32)})"
)
_OWNERSHIP = "SELECT report FROM prostheses_of_users(users = {users:Array(String)})"
_WEARERS = "SELECT report FROM wearers_by_text(text = {text:String})"
_WATERMARKS = "SELECT log_partition, as_of FROM partition_progress WHERE topic = {topic:String}"


class ForeignRowError(Exception):
    """The store returned a row of a user who was not asked for. Never shown; the request fails."""


class Store(Protocol):
    """What runs a query; ``pool.ClickHousePool``."""

    async def query(self, sql: str, parameters: Parameters) -> Rows: ...


class ReportRepository:
    """Reads of mart rows and watermarks. All methods only read and may be repeated; they raise the errors of ``pool``."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def ping(self) -> None:
        """Whether the views of the mart can be read."""
        nobody, day = "", date(2000, 1, 1)
        await self.days_of_users([nobody], day, day)
        await self.versions_of_users([nobody], day, day)

    async def watermarks(self) -> dict[int, datetime]:
        """The source time up to which each partition of the log is handled."""
        rows = await self._store.query(_WATERMARKS, {"topic": LOG_TOPIC})
        return {int(partition): as_of for partition, as_of in rows}

    async def days(self, user_id: str, first: date, last: date, *, prosthesis_id: str = "", after: Cursor = START) -> list[MartRow]:
        """All rows of the days ``[first, last]``, newest day first, then by prosthesis id; those after the cursor, whose day is ``last`` or
        not in the range. An empty *prosthesis_id* means all.
        """
        rows = [row for row in await self.days_of_users([user_id], first, last) if _wanted(row, prosthesis_id, after)]
        rows.sort(key=lambda row: (-row.report_date.toordinal(), row.prosthesis_id))
        return rows

    async def page(self, user_id: str, first: date, last: date, *, prosthesis_id: str, after: Cursor, limit: int) -> list[MartRow]:
        """The next *limit* rows after the cursor, in the order of ``days``; fewer only at the end of the range."""
        if after is not START:
            last = min(last, after.report_date)
        found: list[MartRow] = []
        for start, end in windows(first, last, limit):
            found += await self.days(user_id, start, end, prosthesis_id=prosthesis_id, after=after)
            if len(found) >= limit:
                break
        return found[:limit]

    async def days_of_users(self, users: Sequence[str], first: date, last: date) -> list[MartRow]:
        """All rows of *users* in the days ``[first, last]``, in no order."""
        return _of_users([MartRow._make(row) for (row,) in await self._ask(_ROWS, users, first, last)], users)

    async def versions_of_users(self, users: Sequence[str], first: date, last: date) -> list[RowVersion]:
        """The versions of all rows of *users* in the days ``[first, last]``, in no order."""
        return _of_users([RowVersion._make(row) for (row,) in await self._ask(_VERSIONS, users, first, last)], users)

    async def errors(self, user_id: str, first: date, last: date, most: int) -> list[ErrorRow]:
        """When errors of the days ``[first, last]`` occurred, newest first, at most *most*."""
        rows = await self._ask(_ERRORS, [user_id], first, last, most=most)
        return _of_users([ErrorRow._make(row) for (row,) in rows], [user_id])

    async def typical_day(
        self, user_id: str, first: date, last: date, prosthesis_id: str, watermarks: Mapping[int, datetime]
    ) -> list[TypicalHourRow]:
        """The hours of the typical day over those of the days ``[first, last]`` that *watermarks* make complete, in no order."""
        until = {"partitions": list(watermarks), "until": [int(as_of.timestamp()) for as_of in watermarks.values()]}
        rows = await self._ask(_TYPICAL, [user_id], first, last, prosthesis=prosthesis_id, **until)
        return _of_users([TypicalHourRow._make(row) for (row,) in rows], [user_id])

    async def ownership(self, user_id: str) -> list[OwnershipRow]:
        """The user's intervals of ownership, in no order."""
        rows = await self._store.query(_OWNERSHIP, {"users": [user_id]})
        return _of_users([OwnershipRow._make(row) for (row,) in rows], [user_id])

    async def _ask(self, sql: str, users: Sequence[str], first: date, last: date, **more: object) -> Rows:
        return await self._store.query(sql, {"users": list(users), "first": first.isoformat(), "last": last.isoformat()} | more)


class WearerRepository:
    """Support's search, by an account that can do nothing else. Only reads; raises the errors of ``pool``."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def find(self, text: str) -> list[WearerRow]:
        """Wearers with every word of *text*, by name; at most one more than are to be shown."""
        rows = await self._store.query(_WEARERS, {"text": text})
        return [WearerRow._make(row) for (row,) in rows]


def _wanted(row: MartRow, prosthesis_id: str, after: Cursor) -> bool:
    """Whether *row* is of the prosthesis, if one is named, and comes after the cursor, whose day is the newest that was asked for."""
    behind = row.report_date != after.report_date or row.prosthesis_id > after.prosthesis_id
    return behind and prosthesis_id in ("", row.prosthesis_id)


R = TypeVar("R", MartRow, RowVersion, ErrorRow, TypicalHourRow, OwnershipRow)


def _of_users(rows: list[R], users: Sequence[str]) -> list[R]:
    allowed = frozenset(users)
    if any(row.user_id not in allowed for row in rows):
        raise ForeignRowError("the store returned a row of another user")
    return rows

"""The answers of the service: each reads rows and hands them to the pure functions of the domain."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import date, datetime, timedelta

from reports_api import domain, paging
from reports_api.detail_schemas import ErrorTimes, Prostheses, TypicalDay
from reports_api.error_times import MOST, error_times
from reports_api.pool import StoreFailedError, StoreUnavailableError
from reports_api.prostheses import newest_zone, prostheses
from reports_api.repository import ReportRepository
from reports_api.schemas import Heartbeat, Hours, Page, Summary, Today
from reports_api.summary import DayRange, summary
from reports_api.typical_day import typical_day
from reports_api.watermarks import WatermarkCache
from schemas.mart import MartRow

Clock = Callable[[], datetime]
"""The present moment, aware UTC."""

MAX_RANGE_DAYS = 366
LOOK_BACK_DAYS = (31, MAX_RANGE_DAYS)


class Reports:
    """Answers for one user at a time. The caller has checked already that this user's reports may be read."""

    def __init__(self, repository: ReportRepository, watermarks: WatermarkCache, clock: Clock) -> None:
        self._repository = repository
        self._watermarks = watermarks
        self.clock = clock

    async def page(self, user_id: str, days: DayRange, *, prosthesis_id: str, after: paging.Cursor, limit: int) -> Page:
        """One page of daily reports, newest day first."""
        watermarks = await self._watermarks.get()
        rows = await self._repository.page(user_id, days.first, days.last, prosthesis_id=prosthesis_id, after=after, limit=limit + 1)
        shown = rows[:limit]
        more = len(rows) > limit
        as_of = domain.as_of_partitions((row.log_partition for row in shown), watermarks)
        return Page(
            user_id=user_id,
            items=domain.daily_reports(shown, watermarks),
            next_cursor=paging.encode(paging.Cursor(shown[-1].report_date, shown[-1].prosthesis_id)) if more else None,
            as_of=as_of,
            freshness_ms=domain.freshness_ms(as_of, self.clock()),
        )

    async def today(self, user_id: str) -> Today:
        """The user's local today."""
        return (await self.today_of([user_id]))[0]

    async def today_of(self, users: Sequence[str]) -> list[Today]:
        """The local today of each of *users*, in their order, in one query for those who were active around now."""
        watermarks = await self._watermarks.get()
        first, last = domain.possible_dates(self.clock())
        by_user: dict[str, list[MartRow]] = {user: [] for user in users}
        for row in await self._repository.days_of_users(users, first, last):
            by_user[row.user_id].append(row)
        return [await self._today(user, by_user[user], watermarks) for user in users]

    async def heartbeat(self, partitions: Collection[int]) -> Heartbeat:
        """How far *partitions* are handled; unknown where the mart cannot be read."""
        try:
            watermarks = await self._watermarks.get()
        except (StoreUnavailableError, StoreFailedError):
            watermarks = {}
        as_of = domain.as_of_partitions(partitions, watermarks)
        return Heartbeat(as_of=as_of, freshness_ms=domain.freshness_ms(as_of, self.clock()))

    async def _today(self, user_id: str, rows: list[MartRow], watermarks: domain.Watermarks) -> Today:
        before = [] if rows else await self._latest(user_id)
        zone = "UTC" if rows or before else newest_zone(await self._repository.ownership(user_id)) or "UTC"
        for found in (rows, before):
            found.sort(key=lambda row: (len(row.prosthesis_id), row.prosthesis_id))
        return domain.today(user_id, rows, watermarks, self.clock(), before=before, zone_before=zone)

    async def _latest(self, user_id: str) -> list[MartRow]:
        """The user's newest rows within a year: one a prosthesis as far as they lie on the newest day. Empty for a new user."""
        last = domain.possible_dates(self.clock())[1]
        for days in LOOK_BACK_DAYS:
            rows = await self._repository.days(user_id, last - timedelta(days=days), last)
            if rows:
                return [row for row in rows if row.report_date == rows[0].report_date]
        return []

    async def local_today(self, user_id: str) -> date:
        """The user's local date, for ranges that end today."""
        return (await self.today(user_id)).report_date

    async def hours(self, user_id: str, day: date) -> tuple[Hours, list[str]]:
        """The hours of one day, and what its entity tag is made of."""
        watermarks = await self._watermarks.get()
        rows = await self._repository.days(user_id, day, day)
        return domain.hours(user_id, day, rows, watermarks, self.clock()), _versions(rows, watermarks)

    async def summary(self, user_id: str, days: DayRange, prosthesis_id: str) -> tuple[Summary, list[str]]:
        """*days* against the range before them, and what its entity tag is made of; an empty *prosthesis_id* means all."""
        watermarks = await self._watermarks.get()
        rows = await self._repository.days(user_id, days.before().first, days.last, prosthesis_id=prosthesis_id)
        body = summary(user_id, days, rows, watermarks, self.clock(), prosthesis_id=prosthesis_id)
        return body, _versions(rows, watermarks)

    async def typical_day(self, user_id: str, days: DayRange, prosthesis_id: str) -> tuple[TypicalDay, list[str]]:
        """The typical day over *days*, and what its entity tag is made of."""
        watermarks = await self._watermarks.get()
        versions = [row for row in await self._repository.versions_of_users([user_id], *days) if prosthesis_id in ("", row.prosthesis_id)]
        rows = await self._repository.typical_day(user_id, *days, prosthesis_id, watermarks)
        as_of = domain.as_of_partitions((row.log_partition for row in versions), watermarks)
        tagged = [f"{row.hour}/{row.days}/{row.ms}/{row.until_ms}" for row in sorted(rows, key=lambda row: row.hour)]
        return typical_day(user_id, days, prosthesis_id, rows, as_of=as_of, now=self.clock()), tagged

    async def error_times(self, user_id: str, day: date) -> tuple[ErrorTimes, list[str]]:
        """When the errors of one day occurred, and what its entity tag is made of."""
        watermarks = await self._watermarks.get()
        reports = await self._repository.days(user_id, day, day)
        found = await self._repository.errors(user_id, day, day, MOST) if any(row.error_count for row in reports) else []
        body = error_times(user_id, day, reports, found, watermarks=watermarks, now=self.clock())
        return body, [*_versions(reports, watermarks), *(f"{row.occurred_at.isoformat()}/{row.code}" for row in found)]

    async def prostheses(self, user_id: str) -> Prostheses:
        """Which prostheses the user has and had."""
        now = self.clock()
        last = domain.possible_dates(now)[1]
        rows = await self._repository.versions_of_users([user_id], last - timedelta(days=MAX_RANGE_DAYS), last)
        last_days: dict[str, date] = {}
        for row in sorted(rows, key=lambda row: row.report_date):
            last_days[row.prosthesis_id] = row.report_date
        return prostheses(user_id, await self._repository.ownership(user_id), last_days, now)

    async def rows(self, user_id: str, days: DayRange, prosthesis_id: str) -> tuple[list[MartRow], domain.Watermarks]:
        """All rows of a range, for exports, newest day first, with the watermarks read before them."""
        watermarks = await self._watermarks.get()
        return await self._repository.days(user_id, days.first, days.last, prosthesis_id=prosthesis_id), watermarks


def _versions(rows: Sequence[MartRow], watermarks: domain.Watermarks) -> list[str]:
    return [
        f"{row.report_date}/{row.prosthesis_id}/{row.version}/{domain.is_complete(row.day_ends_at, watermarks.get(row.log_partition)):d}"
        for row in rows
    ]

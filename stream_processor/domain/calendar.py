"""Local days: which day and hour an instant belongs to in a time zone (``docs/metrics.md``, "Which day, which hour, whose").

The time-zone database is that of ``schemas.zones``, never the machine's.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from schemas.zones import zone

SECOND_US = 1_000_000
QUARTER_US = 900 * SECOND_US
HOUR_US = 3_600 * SECOND_US
MAX_HOURS = 27  # of the longest day that the database has between 2000 and 2100 (Antarctica/Casey 2018-03-11); a test computes it
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class LocalDay:
    """A calendar date of one zone: *number* is days since 1970-01-01; start and end are instants in microseconds, half-open."""

    number: int
    starts_us: int
    ends_us: int

    @property
    def hours(self) -> int:
        """Hours of the day: mostly 23, 24 or 25, at most MAX_HOURS (a half-hour change fills its last hour partly)."""
        return -((self.starts_us - self.ends_us) // HOUR_US)

    @property
    def date(self) -> date:
        return day_date(self.number)


def day_number(day: date) -> int:
    """Days since 1970-01-01."""
    return (day - _EPOCH).days


def day_date(number: int) -> date:
    """The date of a day number."""
    return _EPOCH + timedelta(days=number)


@lru_cache(maxsize=65_536)
def day_of_date(timezone: str, number: int) -> LocalDay:
    """The local day *number* (days since 1970-01-01)."""
    return LocalDay(number, _midnight_us(timezone, number), _midnight_us(timezone, number + 1))


def local_day(timezone: str, instant_us: int) -> LocalDay:
    """The local day of an instant: the latest one that has begun."""
    local = datetime.fromtimestamp(instant_us // SECOND_US, UTC).astimezone(zone(timezone))
    day = day_of_date(timezone, day_number(local.date()))
    return day if instant_us < day.ends_us else day_of_date(timezone, day.number + 1)


def _midnight_us(timezone: str, number: int) -> int:
    """The first instant at which local time reads midnight; a missing midnight is read with the offset before the change. Both are PEP 495's fold 0."""
    day = day_date(number)
    return int(datetime(day.year, day.month, day.day, tzinfo=zone(timezone)).timestamp()) * SECOND_US

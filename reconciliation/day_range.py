"""A range of days of reports."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

# Local days lie at most this far from the UTC day of the same date (UTC+14 and UTC−12, with room for a day that is skipped).
_ZONES_REACH = timedelta(days=2)


@dataclass(frozen=True)
class DayRange:
    """Days of reports, both included."""

    first: date
    last: date

    def instants(self) -> tuple[datetime, datetime]:
        """Half-open instants between which everything of these days was recorded, whatever the time zone."""
        start, end = self.utc()
        return start - _ZONES_REACH, end + _ZONES_REACH

    def utc(self) -> tuple[datetime, datetime]:
        """The same days in UTC, as half-open instants."""
        return datetime.combine(self.first, time(), UTC), datetime.combine(self.last, time(), UTC) + timedelta(days=1)


def micro(at: datetime) -> int:
    """Microseconds since the epoch."""
    return (at - _EPOCH) // _MICROSECOND


def instant(us: int) -> datetime:
    """The instant so many microseconds after the epoch."""
    return _EPOCH + us * _MICROSECOND

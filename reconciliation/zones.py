"""Local days, as docs/metrics.md cuts them, in the zones of ``schemas.zones``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from reconciliation.day_range import DayRange
from schemas.zones import zone

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def midnight_us(name: str, day: date) -> int:
    """The instant at which *day* begins: the first reading of its midnight; one that does not exist is read with the offset before the change."""
    # Both are what fold=0 means in PEP 495.
    return (datetime.combine(day, time(), zone(name)).astimezone(UTC) - _EPOCH) // _MICROSECOND


def local_days(zones: Iterable[str], days: DayRange) -> Iterator[dict[str, Any]]:
    """The days of each zone, half-open, in microseconds since the epoch. Days that a zone has skipped are left out."""
    for name in sorted(set(zones)):
        starts = midnight_us(name, days.first)
        for number in range((days.last - days.first).days + 1):
            day = days.first + timedelta(days=number)
            ends = midnight_us(name, day + timedelta(days=1))
            if ends > starts:
                yield {"timezone": name, "report_date": day.isoformat(), "starts_us": starts, "ends_us": ends}
            starts = ends

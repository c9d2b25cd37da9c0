"""Cutting a long comparison into windows that fit into memory. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date, timedelta

from reconciliation.day_range import DayRange

_DAY = timedelta(days=1)


def days_with_data(events: Mapping[date, int], mart: Collection[date], first: date | None, last: date | None) -> list[date]:
    """The days to compare, in order: those from *first* to *last* (None: without that bound) that either side has anything in.

    *events* are counted by UTC day; a local day begins or ends up to a day before or after.
    """
    either = {day + reach for day in events for reach in (-_DAY, timedelta(), _DAY)}.union(mart)
    return sorted(day for day in either if (first is None or day >= first) and (last is None or day <= last))


def windows(days: Sequence[date], events: Mapping[date, int], most_events: int, most_days: int) -> Iterator[DayRange]:
    """Consecutive ranges that hold all *days*, which are in order; each of at most *most_days* days and *most_events* events, or of one day where that has more.

    Days between them that nobody has anything in may be in none: a device's clock that once stood at 2001 costs a window, not one for each quarter since.
    """
    within: list[date] = []
    held = 0
    for day in days:
        count = events.get(day, 0)
        if within and (held + count > most_events or (day - within[0]).days >= most_days):
            yield DayRange(within[0], within[-1])
            within, held = [], 0
        within.append(day)
        held += count
    if within:
        yield DayRange(within[0], within[-1])

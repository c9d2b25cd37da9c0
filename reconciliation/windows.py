"""Cutting a long comparison into windows that fit into memory. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, timedelta

from reconciliation.day_range import DayRange

_DAY = timedelta(days=1)


def span(events: Mapping[date, int], mart: DayRange | None, first: date | None, last: date | None) -> DayRange | None:
    """The days to compare: those asked for, within those that either side has anything in. None where there are none.

    *events* are counted by UTC day; a local day begins or ends up to a day before or after.
    """
    starts = [*([min(events) - _DAY] if events else []), *([mart.first] if mart else [])]
    ends = [*([max(events) + _DAY] if events else []), *([mart.last] if mart else [])]
    if not starts:
        return None
    begin, end = max(filter(None, (first, min(starts)))), min(filter(None, (last, max(ends))))
    return DayRange(begin, end) if begin <= end else None


def windows(days: DayRange, events: Mapping[date, int], most_events: int, most_days: int) -> Iterator[DayRange]:
    """Consecutive ranges that cover *days*, each of at most *most_days* days and *most_events* events, or of one day where that has more."""
    begin, held = days.first, 0
    day = days.first
    while day <= days.last:
        count = events.get(day, 0)
        if day > begin and (held + count > most_events or (day - begin).days >= most_days):
            yield DayRange(begin, day - _DAY)
            begin, held = day, 0
        held += count
        day += _DAY
    yield DayRange(begin, days.last)

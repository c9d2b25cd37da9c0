"""The typical day's answer, from the hours that the store computed: pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from reports_api.detail_schemas import Quartiles, TypicalDay, TypicalHour
from reports_api.domain import freshness_ms
from reports_api.summary import DayRange
from schemas.reader_views import TypicalHourRow


def typical_day(
    user_id: str, days: DayRange, prosthesis_id: str, rows: Sequence[TypicalHourRow], *, as_of: datetime | None, now: datetime
) -> TypicalDay:
    """The body of ``/typical-day``; an empty *prosthesis_id* means all together."""
    return TypicalDay(
        user_id=user_id,
        from_=days.first,
        to=days.last,
        prosthesis_id=prosthesis_id or None,
        days=max((row.days for row in rows), default=0),
        hours=[TypicalHour(row.hour, Quartiles(*row.ms), Quartiles(*row.until_ms)) for row in sorted(rows, key=lambda row: row.hour)],
        as_of=as_of,
        freshness_ms=freshness_ms(as_of, now),
    )

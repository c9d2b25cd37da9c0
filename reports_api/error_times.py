"""When errors occurred: pure, from the day's reports and the occurrences that raw telemetry holds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Literal

from reports_api.detail_schemas import ErrorOccurrence, ErrorTimes
from reports_api.domain import Watermarks, as_of_partitions, freshness_ms
from reports_api.summary import errors
from schemas.mart import MartRow
from schemas.reader_views import ErrorRow

MOST = 500
"""So many occurrences are listed, the newest of the day."""
_SEVERITIES: dict[int, Literal["info", "warning", "critical"]] = {1: "info", 2: "warning", 3: "critical"}


def error_times(
    user_id: str, day: date, reports: Sequence[MartRow], rows: Sequence[ErrorRow], *, watermarks: Watermarks, now: datetime
) -> ErrorTimes:
    """The body of ``/errors/{day}``. *reports* are the mart's rows of the day, and say how many there were."""
    totals = errors(reports)
    newest = max(reports, key=lambda row: row.version, default=None)
    as_of = as_of_partitions((row.log_partition for row in reports), watermarks)
    return ErrorTimes(
        user_id=user_id,
        report_date=day,
        timezone=newest.timezone if newest else None,
        count=totals.count,
        critical_count=totals.critical_count,
        by_code=totals.by_code,
        occurrences=[ErrorOccurrence(row.occurred_at, row.prosthesis_id, row.code, _SEVERITIES[row.severity]) for row in rows],
        as_of=as_of,
        freshness_ms=freshness_ms(as_of, now),
    )

"""From mart rows to reports: pure, without I/O or a clock. Formulas are those of ``docs/metrics.md``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

from reports_api.schemas import (
    Amplitude,
    Battery,
    BatteryHour,
    DailyReport,
    Errors,
    HourOfDay,
    Hours,
    HourUsage,
    Location,
    Signals,
    Today,
    Usage,
)
from schemas.mart import MartRow, RowVersion
from schemas.zones import zone

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

Watermarks = Mapping[int, datetime]
"""The source time up to which each log partition is handled."""


def amplitude(count: int, total: int, low: int, high: int) -> Amplitude | None:
    """Amplitude in µV from stored sums; None without signals."""
    return Amplitude(min=low, max=high, mean=total / count) if count else None


def efficiency(recognised: int, count: int) -> float | None:
    """The share of signals that became the intended movement; None without signals."""
    return recognised / count if count else None


def percent(basis_points: int) -> float:
    """Percent from basis points."""
    return basis_points / 100


def is_complete(day_ends_at: datetime, as_of: datetime | None) -> bool:
    """Whether everything that belongs to the day, as far as it has been sent, is in the row."""
    return as_of is not None and as_of >= day_ends_at


def daily_report(row: MartRow, as_of: datetime | None) -> DailyReport:
    """The report of one mart row, whose partition is handled up to *as_of*."""
    start = row.day_starts_at
    return DailyReport(
        report_date=row.report_date,
        prosthesis_id=row.prosthesis_id,
        prosthesis_model=row.prosthesis_model,
        prosthesis_serial_number=row.prosthesis_serial_number,
        customer_name=row.customer_name,
        contract_number=row.contract_number,
        timezone=row.timezone,
        day_starts_at=start,
        day_ends_at=row.day_ends_at,
        complete=is_complete(row.day_ends_at, as_of),
        as_of=as_of,
        version=row.version,
        usage=Usage(
            total_ms=row.usage_ms,
            by_hour=[HourUsage(starts_at=start + i * HOUR, ms=ms) for i, ms in enumerate(row.usage_ms_by_hour)],
        ),
        signals=_signals(row),
        battery=_battery(row),
        errors=Errors(count=row.error_count, critical_count=row.critical_error_count, by_code=dict(row.errors_by_code)),
        location=_location(row),
        event_count=row.event_count,
        first_event_at=row.first_event_at,
        last_event_at=row.last_event_at,
    )


def _signals(row: MartRow) -> Signals:
    return Signals(
        count=row.signal_count,
        recognised_count=row.recognised_count,
        efficiency=efficiency(row.recognised_count, row.signal_count),
        amplitude_uv=amplitude(row.signal_count, row.amplitude_uv_sum, row.amplitude_uv_min, row.amplitude_uv_max),
        amplitude_histogram=list(row.amplitude_histogram),
    )


def _battery(row: MartRow) -> Battery | None:
    if not row.battery_count:
        return None
    return Battery(
        first_percent=percent(row.battery_first_bp),
        last_percent=percent(row.battery_last_bp),
        min_percent=percent(row.battery_min_bp),
        max_percent=percent(row.battery_max_bp),
        drain_percent=percent(row.battery_drain_bp),
        by_hour=[
            BatteryHour(starts_at=row.day_starts_at + i * HOUR, first_percent=percent(first), last_percent=percent(last))
            for i, (first, last) in enumerate(zip(row.battery_first_bp_by_hour, row.battery_last_bp_by_hour, strict=True))
            if first >= 0
        ],
    )


def _location(row: MartRow) -> Location | None:
    if row.location_lat_cell is None or row.location_lon_cell is None:
        return None
    return Location(latitude=row.location_lat_cell / 10, longitude=row.location_lon_cell / 10)


def daily_reports(rows: Iterable[MartRow], watermarks: Watermarks) -> list[DailyReport]:
    """The reports of *rows*, in their order, each with the watermark of its partition."""
    return [daily_report(row, watermarks.get(row.log_partition)) for row in rows]


def as_of_partitions(partitions: Iterable[int], watermarks: Watermarks) -> datetime | None:
    """What may be claimed of an answer drawn from *partitions*: the least of their watermarks; None if one is unknown or there are none."""
    known = [watermarks.get(partition) for partition in set(partitions)]
    times = [time for time in known if time is not None]
    return min(times) if times and len(times) == len(known) else None


def freshness_ms(as_of: datetime | None, now: datetime) -> int | None:
    """Age of *as_of* in ms; a source clock ahead of ours counts as 0."""
    return None if as_of is None else max(0, (now - as_of) // timedelta(milliseconds=1))


def local_date(now: datetime, timezone: str) -> date:
    """The calendar date of *now* in *timezone*."""
    return now.astimezone(zone(timezone)).date()


def possible_dates(now: datetime) -> tuple[date, date]:
    """The first and last local date that *now* can have anywhere on earth (UTC−12 … UTC+14)."""
    return (now - 12 * HOUR).date(), (now + 14 * HOUR).date()


def newest_zone(rows: Iterable[MartRow] | Iterable[RowVersion], default: str) -> str:
    """The time zone on the row that changed last of the latest day; *default* without rows."""
    latest = max(rows, key=lambda row: (row.report_date, row.version), default=None)
    return default if latest is None else latest.timezone


def today(
    user_id: str,
    rows: Sequence[MartRow],
    watermarks: Watermarks,
    now: datetime,
    *,
    before: Sequence[MartRow] = (),
    zone_before: str = "UTC",
) -> Today:
    """The body of ``/today`` from the rows around now.

    *before*, the rows of the user's latest day within a year, is used where *rows* has none, and *zone_before* where both are empty.
    """
    timezone = newest_zone(rows or before, zone_before)
    day = local_date(now, timezone)
    of_today = [row for row in rows if row.report_date == day]
    as_of = as_of_partitions({row.log_partition for row in of_today or rows or before}, watermarks)
    return Today(
        user_id=user_id,
        report_date=day,
        timezone=timezone,
        items=daily_reports(of_today, watermarks),
        last_known=[] if of_today else daily_reports(_last_day([row for row in rows or before if row.report_date < day]), watermarks),
        as_of=as_of,
        freshness_ms=freshness_ms(as_of, now),
    )


def _last_day(rows: Sequence[MartRow]) -> list[MartRow]:
    last = max((row.report_date for row in rows), default=None)
    return [row for row in rows if row.report_date == last]


def hours(user_id: str, day: date, rows: Sequence[MartRow], watermarks: Watermarks, now: datetime) -> Hours:
    """The hours of one day over all prostheses; without rows, no hours and no bounds."""
    as_of = as_of_partitions((row.log_partition for row in rows), watermarks)
    first = max(rows, key=lambda row: row.version, default=None)
    return Hours(
        user_id=user_id,
        report_date=day,
        timezone=first.timezone if first else None,
        day_starts_at=first.day_starts_at if first else None,
        day_ends_at=first.day_ends_at if first else None,
        complete=first is not None and is_complete(first.day_ends_at, as_of),
        total_ms=sum(row.usage_ms for row in rows),
        hours=_hours_of(rows),
        as_of=as_of,
        freshness_ms=freshness_ms(as_of, now),
    )


def _hours_of(rows: Sequence[MartRow]) -> list[HourOfDay]:
    by_start: dict[datetime, dict[str, int]] = {}
    for row in rows:
        for i, ms in enumerate(row.usage_ms_by_hour):
            by_start.setdefault(row.day_starts_at + i * HOUR, {})[row.prosthesis_id] = ms
    return [HourOfDay(starts_at=start, ms=sum(by.values()), by_prosthesis=by) for start, by in sorted(by_start.items())]


def utc(time: datetime) -> datetime:
    """*time* as aware UTC with the standard library's zone."""
    return time.astimezone(UTC)

"""Totals and averages of a range against the range before it: pure folds over mart rows."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple

from reports_api.domain import Watermarks, amplitude, as_of_partitions, efficiency, freshness_ms, is_complete, percent
from reports_api.schemas import BatteryTotals, Change, Errors, Period, SignalTotals, Summary, UsageTotals
from schemas.mart import MartRow


class DayRange(NamedTuple):
    """Local days, both ends included."""

    first: date
    last: date

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1

    def before(self) -> DayRange:
        """The range of the same length that ends the day before this one begins."""
        return DayRange(self.first - timedelta(days=self.days), self.first - timedelta(days=1))

    def holds(self, day: date) -> bool:
        return self.first <= day <= self.last


class Settled(NamedTuple):
    """What is said a day, or as a ratio, of the complete days of a range: a day that still goes on would make any comparison unfair."""

    days: int
    usage_ms_per_day: float | None
    efficiency: float | None
    drain_percent_per_day: dict[str, float]
    errors_per_day: float | None


def settled(rows: Sequence[MartRow], watermarks: Watermarks) -> Settled:
    """The means of those *rows* whose day is complete, with all of its prostheses."""
    unfinished = {row.report_date for row in rows if not is_complete(row.day_ends_at, watermarks.get(row.log_partition))}
    rows = [row for row in rows if row.report_date not in unfinished]
    days = len({row.report_date for row in rows})
    return Settled(
        days,
        sum(row.usage_ms for row in rows) / days if days else None,
        efficiency(sum(row.recognised_count for row in rows), sum(row.signal_count for row in rows)),
        {of: percent(sum(row.battery_drain_bp for row in sampled)) / len(sampled) for of, sampled in _sampled(rows).items()},
        sum(row.error_count for row in rows) / days if days else None,
    )


def period(days: DayRange, rows: Sequence[MartRow], watermarks: Watermarks) -> Period:
    """The totals of those *rows* that lie in *days*."""
    rows = [row for row in rows if days.holds(row.report_date)]
    means = settled(rows, watermarks)
    return Period(
        from_=days.first,
        to=days.last,
        days_with_data=len({row.report_date for row in rows}),
        complete_days=means.days,
        prosthesis_ids=sorted({row.prosthesis_id for row in rows}),
        usage=UsageTotals(total_ms=sum(row.usage_ms for row in rows), mean_ms_per_day=means.usage_ms_per_day),
        signals=_signals(rows),
        battery_by_prosthesis={of: _battery(sampled, means.drain_percent_per_day.get(of)) for of, sampled in _sampled(rows).items()},
        errors=errors(rows),
        errors_per_day=means.errors_per_day,
        event_count=sum(row.event_count for row in rows),
        complete=all(is_complete(row.day_ends_at, watermarks.get(row.log_partition)) for row in rows),
    )


def _signals(rows: Sequence[MartRow]) -> SignalTotals:
    with_signals = [row for row in rows if row.signal_count]
    count = sum(row.signal_count for row in with_signals)
    recognised = sum(row.recognised_count for row in with_signals)
    return SignalTotals(
        count=count,
        recognised_count=recognised,
        efficiency=efficiency(recognised, count),
        amplitude_uv=amplitude(
            count,
            sum(row.amplitude_uv_sum for row in with_signals),
            min((row.amplitude_uv_min for row in with_signals), default=0),
            max((row.amplitude_uv_max for row in with_signals), default=0),
        ),
    )


def _sampled(rows: Sequence[MartRow]) -> dict[str, list[MartRow]]:
    """The rows with a battery sample, by prosthesis: each has its own battery, and a sum over several would mean nothing."""
    sampled: defaultdict[str, list[MartRow]] = defaultdict(list)
    for row in rows:
        if row.battery_count:
            sampled[row.prosthesis_id].append(row)
    return dict(sorted(sampled.items()))


def _battery(sampled: Sequence[MartRow], mean: float | None) -> BatteryTotals:
    return BatteryTotals(
        min_percent=percent(min(row.battery_min_bp for row in sampled)),
        max_percent=percent(max(row.battery_max_bp for row in sampled)),
        drain_percent=percent(sum(row.battery_drain_bp for row in sampled)),
        mean_drain_percent_per_day=mean,
    )


def errors(rows: Sequence[MartRow]) -> Errors:
    """The errors of several rows."""
    by_code: Counter[str] = Counter()
    for row in rows:
        by_code.update(row.errors_by_code)
    return Errors(
        count=sum(row.error_count for row in rows),
        critical_count=sum(row.critical_error_count for row in rows),
        by_code=dict(sorted(by_code.items())),
    )


def change(current: Settled, previous: Settled) -> Change:
    """Relative changes and differences; None where a side has no data to compare."""
    now, before = current.drain_percent_per_day, previous.drain_percent_per_day
    drains = {prosthesis_id: _ratio(now[prosthesis_id], before[prosthesis_id]) for prosthesis_id in sorted(now.keys() & before.keys())}
    return Change(
        usage_per_day_ratio=_ratio(current.usage_ms_per_day, previous.usage_ms_per_day),
        efficiency_difference=_difference(current.efficiency, previous.efficiency),
        drain_per_day_ratio_by_prosthesis={of: ratio for of, ratio in drains.items() if ratio is not None},
        errors_per_day_difference=_difference(current.errors_per_day, previous.errors_per_day),
    )


def _difference(current: float | None, previous: float | None) -> float | None:
    return None if current is None or previous is None else current - previous


def _ratio(current: float | None, previous: float | None) -> float | None:
    return None if current is None or not previous else current / previous - 1


def summary(
    user_id: str, days: DayRange, rows: Sequence[MartRow], watermarks: Watermarks, now: datetime, *, prosthesis_id: str = ""
) -> Summary:
    """The body of ``/summary``; *rows* are those of *days* and of ``days.before()``, of all prostheses or of *prosthesis_id* alone."""
    sides = (days, days.before())
    current, previous = (period(side, rows, watermarks) for side in sides)
    means = [settled([row for row in rows if side.holds(row.report_date)], watermarks) for side in sides]
    as_of = as_of_partitions((row.log_partition for row in rows), watermarks)
    return Summary(
        user_id=user_id,
        prosthesis_id=prosthesis_id or None,
        current=current,
        previous=previous,
        change=change(*means),
        as_of=as_of,
        freshness_ms=freshness_ms(as_of, now),
    )

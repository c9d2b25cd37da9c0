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


def period(days: DayRange, rows: Sequence[MartRow], watermarks: Watermarks) -> Period:
    """The totals of those *rows* that lie in *days*."""
    rows = [row for row in rows if days.holds(row.report_date)]
    active_days = len({row.report_date for row in rows})
    usage = sum(row.usage_ms for row in rows)
    return Period(
        from_=days.first,
        to=days.last,
        days_with_data=active_days,
        prosthesis_ids=sorted({row.prosthesis_id for row in rows}),
        usage=UsageTotals(total_ms=usage, mean_ms_per_day=usage / active_days if active_days else None),
        signals=_signals(rows),
        battery_by_prosthesis=_batteries(rows),
        errors=_errors(rows),
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


def _batteries(rows: Sequence[MartRow]) -> dict[str, BatteryTotals]:
    """The battery of each prosthesis by itself. A sum over several batteries would mean nothing."""
    sampled: defaultdict[str, list[MartRow]] = defaultdict(list)
    for row in rows:
        if row.battery_count:
            sampled[row.prosthesis_id].append(row)
    return {prosthesis_id: _battery(sampled[prosthesis_id]) for prosthesis_id in sorted(sampled)}


def _battery(sampled: Sequence[MartRow]) -> BatteryTotals:
    drain = sum(row.battery_drain_bp for row in sampled)
    return BatteryTotals(
        min_percent=percent(min(row.battery_min_bp for row in sampled)),
        max_percent=percent(max(row.battery_max_bp for row in sampled)),
        drain_percent=percent(drain),
        mean_drain_percent_per_day=percent(drain) / len(sampled),
    )


def _errors(rows: Sequence[MartRow]) -> Errors:
    by_code: Counter[str] = Counter()
    for row in rows:
        by_code.update(row.errors_by_code)
    return Errors(
        count=sum(row.error_count for row in rows),
        critical_count=sum(row.critical_error_count for row in rows),
        by_code=dict(sorted(by_code.items())),
    )


def change(current: Period, previous: Period) -> Change:
    """Relative changes and differences; None where a side has no data to compare."""
    efficiencies = current.signals.efficiency, previous.signals.efficiency
    comparable = current.days_with_data > 0 and previous.days_with_data > 0
    return Change(
        usage_per_day_ratio=_ratio(current.usage.mean_ms_per_day, previous.usage.mean_ms_per_day),
        efficiency_difference=None if efficiencies[0] is None or efficiencies[1] is None else efficiencies[0] - efficiencies[1],
        drain_per_day_ratio_by_prosthesis=_drain_ratios(current, previous),
        error_count_difference=current.errors.count - previous.errors.count if comparable else None,
    )


def _drain_ratios(current: Period, previous: Period) -> dict[str, float]:
    now, before = current.battery_by_prosthesis, previous.battery_by_prosthesis
    ratios = {
        prosthesis_id: _ratio(now[prosthesis_id].mean_drain_percent_per_day, before[prosthesis_id].mean_drain_percent_per_day)
        for prosthesis_id in sorted(now.keys() & before.keys())
    }
    return {prosthesis_id: ratio for prosthesis_id, ratio in ratios.items() if ratio is not None}


def _ratio(current: float | None, previous: float | None) -> float | None:
    return None if current is None or not previous else current / previous - 1


def summary(user_id: str, days: DayRange, rows: Sequence[MartRow], watermarks: Watermarks, now: datetime) -> Summary:
    """The body of ``/summary``; *rows* are those of *days* and of ``days.before()``."""
    current, previous = period(days, rows, watermarks), period(days.before(), rows, watermarks)
    as_of = as_of_partitions((row.log_partition for row in rows), watermarks)
    return Summary(
        user_id=user_id,
        current=current,
        previous=previous,
        change=change(current, previous),
        as_of=as_of,
        freshness_ms=freshness_ms(as_of, now),
    )

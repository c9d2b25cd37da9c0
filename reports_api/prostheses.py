"""Which prostheses a wearer has and had: pure, from intervals of ownership."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

from reports_api.detail_schemas import OwnershipPeriod, Prostheses, Prosthesis
from schemas.ranges import EARLIEST_US, END_US
from schemas.reader_views import OwnershipRow
from schemas.zones import in_force

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def newest_zone(rows: Sequence[OwnershipRow]) -> str | None:
    """The time zone of the wearer's latest interval; None without any."""
    latest = max(rows, key=lambda row: row.starts_us, default=None)
    return None if latest is None else in_force(latest.timezone)


def prostheses(user_id: str, rows: Sequence[OwnershipRow], last_days: Mapping[str, date], now: datetime) -> Prostheses:
    """The body of ``/prostheses``. *last_days*: the latest day with a report, by prosthesis."""
    by_prosthesis: defaultdict[str, list[OwnershipRow]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row.starts_us):
        by_prosthesis[row.prosthesis_id].append(row)
    items = [_prosthesis(owned, last_days.get(of), now) for of, owned in by_prosthesis.items()]
    items.sort(key=lambda one: (one.current, one.since or EPOCH, one.prosthesis_id), reverse=True)
    return Prostheses(user_id=user_id, timezone=newest_zone(rows), items=items)


def _prosthesis(owned: Sequence[OwnershipRow], last_day: date | None, now: datetime) -> Prosthesis:
    """*owned*: its intervals, oldest first."""
    now_us = (now - EPOCH) // timedelta(microseconds=1)
    newest = owned[-1]
    current = next((row for row in owned if row.starts_us <= now_us and (row.ends_us is None or now_us < row.ends_us)), None)
    first, last = _unbroken(owned, current or newest)
    return Prosthesis(
        prosthesis_id=newest.prosthesis_id,
        model=newest.model,
        serial_number=newest.serial_number,
        current=current is not None,
        since=_beginning(first.starts_us),
        until=_end(last.ends_us),
        periods=[OwnershipPeriod(_beginning(row.starts_us), _end(row.ends_us), row.contract_number) for row in owned],
        last_report_date=last_day,
    )


def _unbroken(owned: Sequence[OwnershipRow], within: OwnershipRow) -> tuple[OwnershipRow, OwnershipRow]:
    """The first and the last of the intervals that adjoin one another around *within*: a renewed contract is no new prosthesis."""
    first = last = owned.index(within)
    while first > 0 and owned[first - 1].ends_us == owned[first].starts_us:
        first -= 1
    while last + 1 < len(owned) and owned[last].ends_us == owned[last + 1].starts_us:
        last += 1
    return owned[first], owned[last]


def _beginning(us: int) -> datetime | None:
    """What is owned since before events can have been is owned since nobody knows when."""
    return None if us <= EARLIEST_US else _instant(us)


def _end(us: int | None) -> datetime | None:
    return None if us is None or us >= END_US else _instant(us)


def _instant(us: int) -> datetime:
    return EPOCH + timedelta(microseconds=us)

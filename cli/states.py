"""Whether the processor's stored states say what their reports say: a state that somebody altered would show only with the report's next event.

The reports themselves are proven by the oracle, which shares no code with the processor; what a state says only the processor's code can read. So the two meet here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np

from reconciliation.day_range import DayRange
from reconciliation.fields import Key
from reconciliation.mart import Mart
from schemas import mart as catalogue
from stream_processor.domain.calendar import HOUR_US, SECOND_US
from stream_processor.domain.fold import FOLD_FORMAT, LAYOUT, FoldTable

NUMBERS = tuple(name for name, column in catalogue.COLUMNS.items() if column.role == catalogue.NUMBER)
ROWS_AT_ONCE = 4_096
DAYS_AT_ONCE = 7
_EPOCH = date(1970, 1, 1)
# A report is written before its state, and both before progress: at or below a barrier that was handled, a state includes exactly what its report does.
_QUERY = f"""
SELECT report.user_id, toInt32(report.report_date), report.prosthesis_id, report.log_partition, report.version,
    toUnixTimestamp(report.day_starts_at), toUnixTimestamp(report.day_ends_at),
    state.next_offset, state.fold_format, hex(state.fold), state.errors_by_code, {", ".join(catalogue.exact(name).replace(name, f"report.{name}") for name in NUMBERS)}
FROM (SELECT * FROM user_daily_reports FINAL WHERE toInt32(report_date) BETWEEN %(first)s AND %(last)s) AS report
LEFT JOIN (SELECT * FROM report_state FINAL WHERE toInt32(report_date) BETWEEN %(first)s AND %(last)s) AS state
    ON state.report_date = report.report_date AND state.prosthesis_id = report.prosthesis_id AND state.user_id = report.user_id
"""  # noqa: S608 - our own columns


@dataclass(frozen=True)
class Pair:
    """A report of the mart and its state, as the query names them."""

    key: Key
    partition: int
    version: int
    hours: int
    next_offset: int
    fold_format: int
    fold: bytes
    errors: Mapping[str, int]
    numbers: tuple[Any, ...]


def unlike(mart: Mart, days: DayRange, barrier: Mapping[int, int]) -> frozenset[Key]:
    """The reports of *days*, at or below *barrier*, whose state is missing, includes another part of the log, or would give another report."""
    found: set[Key] = set()
    rows: list[Pair] = []
    for pair in _pairs(mart, days):
        if pair.version > barrier.get(pair.partition, -1) or pair.fold_format not in {0, FOLD_FORMAT}:
            continue  # in motion; or of another layout, which is folded again from raw before it is used
        if pair.next_offset != pair.version + 1 or len(pair.fold) != LAYOUT.itemsize:
            found.add(pair.key)
            continue
        rows.append(pair)
        if len(rows) == ROWS_AT_ONCE:
            found |= differing(rows)
            rows = []
    return frozenset(found | differing(rows))


def differing(pairs: Sequence[Pair]) -> set[Key]:
    """Those whose state gives other numbers than the report has. Pure."""
    if not pairs:
        return set()
    table, rows = FoldTable(len(pairs)), np.arange(len(pairs))
    table.load(rows, [pair.fold for pair in pairs], [dict(pair.errors) for pair in pairs])
    said = table.report(rows, [pair.hours for pair in pairs])
    columns = [said[name] for name in NUMBERS]
    return {pair.key for pair, values in zip(pairs, zip(*columns, strict=True), strict=True) if _plain(values) != _plain(pair.numbers)}


def _plain(values: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(tuple(value) if isinstance(value, list | tuple) else value for value in values)


def _pairs(mart: Mart, days: DayRange) -> Iterator[Pair]:
    first = days.first
    while first <= days.last:
        last = min(days.last, first + timedelta(days=DAYS_AT_ONCE - 1))
        for row in mart.client.execute_iter(_QUERY, {"first": (first - _EPOCH).days, "last": (last - _EPOCH).days}):
            user, day, prosthesis, partition, version, starts, ends, next_offset, kind, fold, errors, *numbers = row
            hours = -((starts - ends) * SECOND_US // HOUR_US)
            key = Key(user, _EPOCH + timedelta(days=day), prosthesis)
            yield Pair(key, partition, version, hours, next_offset, kind, bytes.fromhex(fold), errors, tuple(numbers))
        first = last + timedelta(days=1)

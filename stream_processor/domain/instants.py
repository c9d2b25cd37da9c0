"""Instants of a source, read into microseconds since 1970-01-01 UTC, many at a time.

Debezium writes a ``timestamptz`` as an ISO 8601 text in UTC, mostly of 27 characters (``2026-11-23T10:00:00.123456Z``). Texts of that one form are read as a matrix of
digits, a tenth of the cost of parsing each; whatever has another form is read one by one: shorter fractions, years before 1 and after 9999, the two infinities (of a
``timestamp`` without zone these are the years −292275055 and 292278994).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from itertools import pairwise
from typing import Any

import numpy as np

from schemas.mapping import MICROSECONDS, TimeColumn
from schemas.ranges import OUTERMOST_US
from schemas.raw_telemetry import Ints

_FORM = "0000-00-00T00:00:00.000000Z"
LENGTH = len(_FORM)
_DIGITS = np.array([i for i, c in enumerate(_FORM) if c == "0"])
_SIGNS = np.array([i for i, c in enumerate(_FORM) if c != "0"])
_SIGN_BYTES = np.array([ord(_FORM[i]) for i in _SIGNS], dtype=np.uint8)
_YEAR, _MONTH, _DAY, _HOUR, _MINUTE, _SECOND, _FRACTION = (slice(a, b) for a, b in pairwise((0, 4, 6, 8, 10, 12, 14, 20)))
_DAY_US, _HOUR_US, _MINUTE_US, _SECOND_US = 86_400_000_000, 3_600_000_000, 60_000_000, 1_000_000
_ANY_FORM = re.compile(r"([+-]?\d{4,9})-(\d\d)-(\d\d)T([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d)(?:\.(\d{1,9}))?)?Z", re.ASCII).fullmatch
_INFINITE = {"infinity": OUTERMOST_US, "-infinity": -OUTERMOST_US}
_YEARS_OF_A_CYCLE, _DAYS_OF_A_CYCLE = 400, 146_097  # the Gregorian calendar repeats itself
_EPOCH_DAY = date(1970, 1, 1).toordinal()


class NotAnInstant(ValueError):  # noqa: N818 - named for what it is
    """A value that is no instant in UTC."""


def read_times(values: Sequence[Any], column: TimeColumn) -> Ints:
    """Instants in microseconds since the epoch, those beyond ±OUTERMOST_US as far as that. Raises NotAnInstant (or what NumPy raises on a malformed value)."""
    if None in values:
        raise NotAnInstant(f"{column.column}: is missing")
    if column.unit != "timestamp":
        return _scaled(values, MICROSECONDS[column.unit])
    texts = _packed(values)
    instants = None if texts is None else _read_packed(texts)
    return np.array([instant_us(value) for value in values], dtype=np.int64) if instants is None else instants


def _scaled(values: Sequence[Any], factor: int) -> Ints:
    """Bounded before they are multiplied, so that nothing wraps around."""
    outermost = OUTERMOST_US // factor
    instants: Ints = np.clip(np.array(values, dtype=np.int64), -outermost, outermost) * factor
    return instants


def instant_us(text: str) -> int:
    """One instant in any form that PostgreSQL's range needs, as ``read_times`` gives it. Raises NotAnInstant."""
    if text in _INFINITE:
        return _INFINITE[text]
    found = _ANY_FORM(text)
    if found is None:
        raise NotAnInstant(f"time: {text[:40]!r} is not an instant in UTC")
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
    cycles, of_cycle = divmod(year, _YEARS_OF_A_CYCLE)
    try:  # of the same place in the cycle of the years 2000 … 2399
        days = date(2000 + of_cycle, month, day).toordinal() - _EPOCH_DAY + (cycles - 5) * _DAYS_OF_A_CYCLE
    except ValueError:
        raise NotAnInstant(f"time: {text[:40]!r} is not a date of the calendar") from None
    fraction = int((found[7] or "").ljust(6, "0")[:6])
    exact = days * _DAY_US + hour * _HOUR_US + minute * _MINUTE_US + second * _SECOND_US + fraction
    return max(-OUTERMOST_US, min(exact, OUTERMOST_US))


def _packed(values: Sequence[str]) -> Ints | None:
    """Texts as one array of bytes, if all have the common form's length; None otherwise."""
    if set(map(len, values)) != {LENGTH}:
        return None
    joined = "".join(values)
    return np.frombuffer(joined.encode(), f"S{LENGTH}") if joined.isascii() else None


def _read_packed(texts: Ints) -> Ints | None:
    """None where some text is not of the common form or no date of the calendar: the general way says what is wrong with it."""
    characters = texts.view(np.uint8).reshape(-1, LENGTH)
    digits = characters[:, _DIGITS] - ord("0")
    if (characters[:, _SIGNS] != _SIGN_BYTES).any() or (digits > 9).any():
        return None
    hour, minute, second = (_number(digits, part) for part in (_HOUR, _MINUTE, _SECOND))
    days = _days(digits[:1] if (digits[:, : _DAY.stop] == digits[0, : _DAY.stop]).all() else digits)  # mostly all of one date
    if days is None or not ((hour < 24) & (minute < 60) & (second < 60)).all():
        return None
    instants: Ints = days * _DAY_US + hour * _HOUR_US + minute * _MINUTE_US + second * _SECOND_US + _number(digits, _FRACTION)
    return instants


def _days(digits: Ints) -> Ints | None:
    """Days since the epoch; None where some are no date of the calendar."""
    month, day = _number(digits, _MONTH), _number(digits, _DAY)
    months = (_number(digits, _YEAR) - 1970) * 12 + month - 1
    first, following = (_day_of_month_start(m) for m in (months, months + 1))
    if not ((month >= 1) & (month <= 12) & (day >= 1) & (day <= following - first)).all():
        return None
    days: Ints = first + day - 1
    return days


def _number(digits: Ints, part: slice) -> Ints:
    """The number that each row's digits of *part* make. (No matrix product: it would be handed to a pool of threads.)"""
    number = np.zeros(len(digits), np.int64)
    for column in digits[:, part].T:
        number = number * 10 + column
    return number


def _day_of_month_start(months: Ints) -> Ints:
    """Days since the epoch of the first day of months since the epoch."""
    days: Ints = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    return days

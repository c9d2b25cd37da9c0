"""Instants of a source, read into microseconds since 1970-01-01 UTC, many at a time.

Debezium writes a ``timestamptz`` as an ISO 8601 text in UTC, mostly of 27 characters (``2026-11-23T10:00:00.123456Z``). Texts of that one form are read as a matrix of
digits, a tenth of the cost of parsing each; NumPy reads whatever has another.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from schemas.mapping import MICROSECONDS, TimeColumn
from stream_processor.domain.columns import Ints

_FORM = "0000-00-00T00:00:00.000000Z"
LENGTH = len(_FORM)
_DIGITS = np.array([i for i, c in enumerate(_FORM) if c == "0"])
_SIGNS = np.array([i for i, c in enumerate(_FORM) if c != "0"])
_SIGN_BYTES = np.array([ord(_FORM[i]) for i in _SIGNS], dtype=np.uint8)
_YEAR, _MONTH, _DAY, _HOUR, _MINUTE, _SECOND, _FRACTION = (slice(a, b) for a, b in pairwise((0, 4, 6, 8, 10, 12, 14, 20)))
_ANY_FORM = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,9})?)?Z", re.ASCII).fullmatch
_DAY_US, _HOUR_US, _MINUTE_US, _SECOND_US = 86_400_000_000, 3_600_000_000, 60_000_000, 1_000_000


class NotAnInstant(ValueError):  # noqa: N818 - named for what it is
    """A value that is no instant in UTC."""


def read_times(values: Sequence[Any], column: TimeColumn) -> Ints:
    """Instants in microseconds since the epoch. Raises NotAnInstant (or what NumPy raises on a malformed value)."""
    if None in values:
        raise NotAnInstant(f"{column.column}: is missing")
    if column.unit != "timestamp":
        return np.array(values, dtype=np.int64) * MICROSECONDS[column.unit]
    texts = packed(values)
    instants = None if texts is None else _read_packed(texts)
    return np.array([_without_z(value) for value in values], dtype="datetime64[us]").view(np.int64) if instants is None else instants


def packed(values: Sequence[str]) -> Ints | None:
    """Texts as one array of bytes, if all have the common form's length; None otherwise. Compares like the texts."""
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
    month, day, hour, minute, second = (_number(digits, part) for part in (_MONTH, _DAY, _HOUR, _MINUTE, _SECOND))
    months = (_number(digits, _YEAR) - 1970) * 12 + month - 1
    first, following = (_day_of_month_start(m) for m in (months, months + 1))
    calendar = (month >= 1) & (month <= 12) & (day >= 1) & (day <= following - first)
    if not (calendar & (hour < 24) & (minute < 60) & (second < 60)).all():
        return None
    days = first + day - 1
    instants: Ints = days * _DAY_US + hour * _HOUR_US + minute * _MINUTE_US + second * _SECOND_US + _number(digits, _FRACTION)
    return instants


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


def _without_z(text: str) -> str:
    if not _ANY_FORM(text):
        raise NotAnInstant(f"time: {text[:40]!r} is not an instant in UTC")
    return text[:-1]

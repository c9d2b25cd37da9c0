"""Values of decoded source rows as NumPy columns. Each function reads one field of many rows and says which field is at fault."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Annotated, Any

import numpy as np
from msgspec import UNSET, Meta

from schemas.raw_telemetry import Ints

SourceRow = Any
"""An instance of the struct that ``rows.row_struct`` makes for a mapping."""


class InvalidRow(ValueError):  # noqa: N818 - named for what it is
    """A row that breaks a rule of docs/metrics.md; the message names the field."""


def number(least: float, greatest: float) -> Any:
    """The kind of a number within a range, whichever of its numeric types the source has."""
    return Annotated[float, Meta(ge=least, le=greatest)] | None


def amount(upper: int, factor: int) -> Any:
    """The kind of a number of the source whose value times *factor* is within 0 … *upper*."""
    return number(0, upper / factor)


def values(rows: Iterable[SourceRow], name: str) -> list[Any]:
    """The field of each row as it was decoded."""
    return list(map(attrgetter(name), rows))


def required(name: str, found: list[Any]) -> list[Any]:
    """*found*, none of which may be missing. Raises InvalidRow."""
    if None in found or UNSET in found:
        raise InvalidRow(f"{name}: is missing")
    return found


def numbers(name: str, rows: Sequence[SourceRow], dtype: type[np.generic]) -> Ints:
    """A column of numbers that each row must have. Raises InvalidRow."""
    try:
        column: Ints = np.fromiter(map(attrgetter(name), rows), dtype, len(rows))
    except TypeError:
        raise InvalidRow(f"{name}: is missing") from None
    if dtype is np.float64 and np.isnan(column).any():  # which is how NumPy reads None; JSON has no NaN
        raise InvalidRow(f"{name}: is missing")
    return column


def scaled(name: str, rows: Sequence[SourceRow], factor: int) -> Ints:
    """The field times *factor*, rounded half to even."""
    column: Ints = np.rint(numbers(name, rows, np.float64) * factor).astype(np.int64)
    return column

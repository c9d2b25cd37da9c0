"""The shape of a report as the oracle and the mart give it to the comparison: a key and the fields, in one order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, NamedTuple

from schemas import mart

Value = str | int | None | tuple[int, ...] | Mapping[str, int]
"""Times are whole numbers too: days' instants in seconds, events' in microseconds since 1970-01-01 UTC."""


class Key(NamedTuple):
    """One row of the mart: (user, local day, prosthesis)."""

    user_id: str
    report_date: date
    prosthesis_id: str

    def __str__(self) -> str:
        return f"user {self.user_id}, day {self.report_date}, prosthesis {self.prosthesis_id}"


KEY_FIELDS = Key._fields

FIELDS = mart.COMPARED
"""Every field that is compared, in one order: the mart's columns without the key, ``log_partition``, ``version`` and ``is_deleted``."""

Values = tuple[Value, ...]
Report = tuple[Key, Values]
Rows = Mapping[Key, Values]


_PLAIN = frozenset({int, str, type(None), tuple, dict})


def normal(values: Iterable[Any]) -> Values:
    """A row's values in the one form that is compared: lists become tuples. Raises TypeError for a type no field has."""
    return tuple([value if type(value) in _PLAIN else _normal(value) for value in values])


def _normal(value: object) -> Value:
    if isinstance(value, list | tuple):
        return tuple(value)
    if value is None or isinstance(value, str | int | Mapping):
        return value
    raise TypeError(f"no field of a report is a {type(value).__name__}: {value!r}")

"""The shape of a report as the oracle and the mart give it to the comparison: a key and the fields, in one order."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import NamedTuple

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

FIELDS = (
    "customer_id",
    "customer_name",
    "timezone",
    "contract_id",
    "contract_number",
    "prosthesis_model",
    "prosthesis_serial_number",
    "day_starts_at",
    "day_ends_at",
    "event_count",
    "first_event_at",
    "last_event_at",
    "usage_ms",
    "usage_ms_by_hour",
    "signal_count",
    "recognised_count",
    "amplitude_uv_sum",
    "amplitude_uv_min",
    "amplitude_uv_max",
    "amplitude_histogram",
    "battery_count",
    "battery_min_bp",
    "battery_max_bp",
    "battery_first_bp",
    "battery_last_bp",
    "battery_drain_bp",
    "error_count",
    "critical_error_count",
    "errors_by_code",
    "location_lat_cell",
    "location_lon_cell",
)
"""Every field that is compared: the mart's columns without the key, ``log_partition``, ``version`` and ``is_deleted``."""

Values = tuple[Value, ...]
Rows = Mapping[Key, Values]


def normal(value: object) -> Value:
    """A driver's value in the one form that is compared: lists become tuples. Raises TypeError for a type no field has."""
    if isinstance(value, list | tuple):
        return tuple(value)
    if value is None or isinstance(value, str | int | Mapping):
        return value
    raise TypeError(f"no field of a report is a {type(value).__name__}: {value!r}")

"""What the reports service's views give beside reports, in the order of each view's tuple (``clickhouse/schema/views.sql``; a test compares the two)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple


class ErrorRow(NamedTuple):
    """One occurrence of an error, at an aware UTC instant. *severity*: 1 info, 2 warning, 3 critical."""

    user_id: str
    report_date: date
    prosthesis_id: str
    occurred_at: datetime
    code: str
    severity: int


class TypicalHourRow(NamedTuple):
    """One hour of the typical day over *days* days: quartiles in ms, of the hour and from the day's start to the hour's end."""

    user_id: str
    hour: int
    days: int
    ms: Sequence[int]
    until_ms: Sequence[int]


class OwnershipRow(NamedTuple):
    """One effective interval of a user's ownership, half-open, in microseconds since 1970-01-01 UTC; *ends_us* None: open."""

    user_id: str
    prosthesis_id: str
    model: str
    serial_number: str
    starts_us: int
    ends_us: int | None
    contract_number: str
    timezone: str


class WearerRow(NamedTuple):
    """A wearer whom support's search found: the newest name, and those contracts and prostheses (model, serial number) that the text was found with."""

    user_id: str
    name: str
    contract_numbers: Sequence[str]
    prostheses: Sequence[tuple[str, str]]


MOST_WEARERS = 20
"""So many the view gives, and one more where there are others."""

"""Rows of the mart, made from folds and ownership. Instants are integers: seconds for a day's bounds, microseconds for events.

Column names, types and units: ``schemas/mart.py``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from schemas.ownership import Ownership, OwnershipDocument
from schemas.raw_telemetry import Ints
from stream_processor.domain.calendar import SECOND_US, LocalDay
from stream_processor.domain.facets.base import MartColumns
from stream_processor.domain.fold import FoldTable

_NOBODY = Ownership(0, None, "", "", "", "UTC", "", "")


# What the CRM and the calendar say of a report, in the order of ReportKey.attributes.
_ATTRIBUTES = (
    "user_id", "report_date", "prosthesis_id", "customer_id", "customer_name", "timezone", "contract_id", "contract_number",
    "prosthesis_model", "prosthesis_serial_number", "day_starts_at", "day_ends_at",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ReportKey:
    """What one row is about: its attributes, how many hours the day has, the log partition. *owned* is False for a former owner: such a row can only be a tombstone."""

    attributes: tuple[Any, ...]
    hours: int
    partition: int
    owned: bool


def report_key(user_id: str, day: LocalDay, document: OwnershipDocument, contract: Ownership | None, partition: int) -> ReportKey:
    """*contract*: the user's contract of that day, None where there is none (any more)."""
    of = contract or _NOBODY
    attributes = (
        user_id, day.date, document.prosthesis_id, of.customer_id, of.customer_name, of.timezone, of.contract_id, of.contract_number,
        document.model, document.serial_number, day.starts_us // SECOND_US, day.ends_us // SECOND_US,
    )  # fmt: skip
    return ReportKey(attributes, day.hours, partition, contract is not None)


def mart_columns(keys: Sequence[ReportKey], rows: Ints, marks: Sequence[int], folds: FoldTable) -> MartColumns:
    """The mart's columns for *keys*, whose states are in *rows* and include the log up to *marks*.

    A row without events, or of a user who owns no part of the day, is a tombstone (``is_deleted`` 1).
    """
    attributes = zip(*(key.attributes for key in keys), strict=True)
    numbers = folds.report(rows, [key.hours for key in keys])
    return dict(zip(_ATTRIBUTES, attributes, strict=True)) | numbers | _versions(keys, rows, marks, folds)


def _versions(keys: Sequence[ReportKey], rows: Ints, marks: Sequence[int], folds: FoldTable) -> MartColumns:
    events = folds.columns["event_count"][rows].tolist()
    return {
        "log_partition": [key.partition for key in keys],
        "version": list(marks),
        "is_deleted": [int(count == 0 or not key.owned) for key, count in zip(keys, events, strict=True)],
    }

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


# What the CRM and the calendar say of a report, in the order of ReportAttributes.attributes.
_ATTRIBUTES = (
    "user_id", "report_date", "prosthesis_id", "customer_id", "customer_name", "timezone", "contract_id", "contract_number",
    "prosthesis_model", "prosthesis_serial_number", "day_starts_at", "day_ends_at",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ReportAttributes:
    """What one row is about: its attributes, how many hours the day has, the log partition. *owned* is False for a former owner: such a row can only be a tombstone."""

    attributes: tuple[Any, ...]
    hours: int
    partition: int
    owned: bool


def report_attributes(
    user_id: str, day: LocalDay, document: OwnershipDocument, contract: Ownership | None, partition: int
) -> ReportAttributes:
    """*contract*: the user's contract of that day, None where there is none (any more)."""
    of = contract or _NOBODY
    attributes = (
        user_id, day.date, document.prosthesis_id, of.customer_id, of.customer_name, of.timezone, of.contract_id, of.contract_number,
        document.model, document.serial_number, day.starts_us // SECOND_US, day.ends_us // SECOND_US,
    )  # fmt: skip
    return ReportAttributes(attributes, day.hours, partition, contract is not None)


def mart_columns(of: Sequence[ReportAttributes], rows: Ints, folded_to: Sequence[int], folds: FoldTable) -> MartColumns:
    """The mart's columns for *of*, whose states are in *rows* and include the log up to *folded_to*.

    A row without events, or of a user who owns no part of the day, is a tombstone (``is_deleted`` 1).
    """
    attributes = zip(*(one.attributes for one in of), strict=True)
    numbers = folds.report(rows, [one.hours for one in of])
    return dict(zip(_ATTRIBUTES, attributes, strict=True)) | numbers | _versions(of, rows, folded_to, folds)


def _versions(of: Sequence[ReportAttributes], rows: Ints, folded_to: Sequence[int], folds: FoldTable) -> MartColumns:
    events = folds.columns["event_count"][rows].tolist()
    return {
        "log_partition": [one.partition for one in of],
        "version": list(folded_to),
        "is_deleted": [int(count == 0 or not one.owned) for one, count in zip(of, events, strict=True)],
    }

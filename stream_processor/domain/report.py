"""Rows of the mart, made from folds and ownership. Instants are integers: seconds for a day's bounds, microseconds for events.

Column names and units: ``docs/metrics.md``, ``clickhouse/schema/generation.sql``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from schemas.ownership import Ownership, OwnershipDocument
from stream_processor.domain.calendar import SECOND_US, LocalDay
from stream_processor.domain.columns import Ints
from stream_processor.domain.fold import (
    FoldTable,
    battery_drain,
    cells_of_places,
    first_and_last_battery,
)

MartColumns = dict[str, Sequence[Any]]

_NOBODY = Ownership(0, None, "", "", "", "UTC", "", "")


# What the CRM and the calendar say of a report, in the order of ReportKey.attributes.
_ATTRIBUTES = (
    "user_id", "report_date", "prosthesis_id", "customer_id", "customer_name", "timezone", "contract_id", "contract_number",
    "prosthesis_model", "prosthesis_serial_number", "day_starts_at", "day_ends_at",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ReportKey:
    """What one row is about: its attributes, the day's hour slots, the log partition. *owned* is False for a former owner: such a row can only be a tombstone."""

    attributes: tuple[Any, ...]
    slots: int
    partition: int
    owned: bool


def report_key(user_id: str, day: LocalDay, document: OwnershipDocument, contract: Ownership | None, partition: int) -> ReportKey:
    """*contract*: the user's contract of that day, None where there is none (any more)."""
    of = contract or _NOBODY
    attributes = (
        user_id, day.date, document.prosthesis_id, of.customer_id, of.customer_name, of.timezone, of.contract_id, of.contract_number,
        document.model, document.serial_number, day.starts_us // SECOND_US, day.ends_us // SECOND_US,
    )  # fmt: skip
    return ReportKey(attributes, day.slots, partition, contract is not None)


def mart_columns(keys: Sequence[ReportKey], slots: Ints, marks: Sequence[int], folds: FoldTable) -> MartColumns:
    """The mart's columns for *keys*, whose folds are in *slots* and include the log up to *marks*.

    A row without events, or of a user who owns no part of the day, is a tombstone (``is_deleted`` 1).
    """
    attributes = zip(*(key.attributes for key in keys), strict=True)
    return dict(zip(_ATTRIBUTES, attributes, strict=True)) | _numbers(keys, slots, folds) | _versions(keys, slots, marks, folds)


def _numbers(keys: Sequence[ReportKey], slots: Ints, folds: FoldTable) -> MartColumns:
    of = {name: column[slots] for name, column in folds.columns.items()}
    signals, batteries = of["signal_count"] > 0, of["battery_count"] > 0
    first, last = first_and_last_battery(of["battery_first"], of["battery_last"])
    lat, lon = cells_of_places(of["place"])
    happened = of["event_count"] > 0
    return {
        "event_count": of["event_count"].tolist(),
        "first_event_at": np.where(happened, of["first_us"], 0).tolist(),
        "last_event_at": np.where(happened, of["last_us"], 0).tolist(),
        "usage_ms": of["usage_ms"].sum(axis=1).tolist(),
        "usage_ms_by_hour": [hours[: key.slots] for key, hours in zip(keys, of["usage_ms"].tolist(), strict=True)],
        "signal_count": of["signal_count"].tolist(),
        "recognised_count": of["recognised_count"].tolist(),
        "amplitude_uv_sum": of["amplitude_sum"].tolist(),
        "amplitude_uv_min": np.where(signals, of["amplitude_min"], 0).tolist(),
        "amplitude_uv_max": np.where(signals, of["amplitude_max"], 0).tolist(),
        "amplitude_histogram": of["amplitude_histogram"].tolist(),
        "battery_count": of["battery_count"].tolist(),
        "battery_min_bp": np.where(batteries, of["battery_min"], 0).tolist(),
        "battery_max_bp": np.where(batteries, of["battery_max"], 0).tolist(),
        "battery_first_bp": first.tolist(),
        "battery_last_bp": last.tolist(),
        "battery_drain_bp": battery_drain(of["battery_first"], of["battery_last"]).tolist(),
        "error_count": of["error_count"].tolist(),
        "critical_error_count": of["critical_count"].tolist(),
        "errors_by_code": [folds.errors.get(slot, {}) for slot in slots.tolist()],
        "location_lat_cell": lat,
        "location_lon_cell": lon,
    }


def _versions(keys: Sequence[ReportKey], slots: Ints, marks: Sequence[int], folds: FoldTable) -> MartColumns:
    events = folds.columns["event_count"][slots].tolist()
    return {
        "log_partition": [key.partition for key in keys],
        "version": list(marks),
        "is_deleted": [int(count == 0 or not key.owned) for key, count in zip(keys, events, strict=True)],
    }

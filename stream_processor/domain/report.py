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

MartColumns = dict[str, list[Any]]

_NOBODY = Ownership(0, None, "", "", "", "UTC", "", "")


@dataclass(frozen=True, slots=True)
class ReportKey:
    """What one row is about, and what the CRM says of it. *contract* is None for a former owner: such a row can only be a tombstone."""

    user_id: str
    day: LocalDay
    document: OwnershipDocument
    contract: Ownership | None
    partition: int


def mart_columns(keys: Sequence[ReportKey], slots: Ints, marks: Sequence[int], folds: FoldTable) -> MartColumns:
    """The mart's columns for *keys*, whose folds are in *slots* and include the log up to *marks*.

    A row without events, or of a user who owns no part of the day, is a tombstone (``is_deleted`` 1).
    """
    return _attributes(keys) | _numbers(keys, slots, folds) | _versions(keys, slots, marks, folds)


def _attributes(keys: Sequence[ReportKey]) -> MartColumns:
    contracts = [key.contract or _NOBODY for key in keys]
    return {
        "user_id": [key.user_id for key in keys],
        "report_date": [key.day.date for key in keys],
        "prosthesis_id": [key.document.prosthesis_id for key in keys],
        "customer_id": [contract.customer_id for contract in contracts],
        "customer_name": [contract.customer_name for contract in contracts],
        "timezone": [contract.timezone for contract in contracts],
        "contract_id": [contract.contract_id for contract in contracts],
        "contract_number": [contract.contract_number for contract in contracts],
        "prosthesis_model": [key.document.model for key in keys],
        "prosthesis_serial_number": [key.document.serial_number for key in keys],
        "day_starts_at": [key.day.starts_us // SECOND_US for key in keys],
        "day_ends_at": [key.day.ends_us // SECOND_US for key in keys],
    }


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
        "usage_ms_by_hour": [hours[: key.day.slots] for key, hours in zip(keys, of["usage_ms"].tolist(), strict=True)],
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
        "is_deleted": [int(count == 0 or key.contract is None) for key, count in zip(keys, events, strict=True)],
    }

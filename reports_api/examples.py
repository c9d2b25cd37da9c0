"""Examples of every answer, as they stand in the OpenAPI document; a test validates each against its schema."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec

from reports_api import domain, schemas
from reports_api.summary import DayRange, summary
from schemas.mart import MartRow

USER_ID = "0b8f7f0e-5b0e-4b8e-9a4e-0d3c3b5a1f01"
NOW = datetime(2026, 11, 23, 13, 30, 0, 420_000, UTC)
WATERMARKS = {7: NOW - timedelta(milliseconds=420)}
ROW = MartRow(
    user_id=USER_ID,
    report_date=date(2026, 11, 23),
    prosthesis_id="17",
    customer_name="Анна Петрова",
    timezone="Europe/Moscow",
    contract_number="BP-2026-0017",
    prosthesis_model="BionicHand 3",
    prosthesis_serial_number="BH3-000017",
    day_starts_at=datetime(2026, 11, 22, 21, tzinfo=UTC),
    day_ends_at=datetime(2026, 11, 23, 21, tzinfo=UTC),
    event_count=1250,
    first_event_at=datetime(2026, 11, 23, 4, 1, 7, 250_000, UTC),
    last_event_at=datetime(2026, 11, 23, 13, 29, 58, 900_000, UTC),
    usage_ms=9_000_000,
    usage_ms_by_hour=[0] * 7 + [1_000_000] * 9 + [0] * 8,
    signal_count=1000,
    recognised_count=930,
    amplitude_uv_sum=812_000,
    amplitude_uv_min=35,
    amplitude_uv_max=4100,
    amplitude_histogram=[0, 0, 0, 0, 0, 0, 20, 80, 200, 300, 250, 100, 45, 5, 0, 0],
    battery_count=200,
    battery_min_bp=5_400,
    battery_max_bp=10_000,
    battery_first_bp=10_000,
    battery_last_bp=5_400,
    battery_drain_bp=4_600,
    error_count=2,
    critical_error_count=1,
    errors_by_code={"E_GRIP_TIMEOUT": 1, "E_OVERHEAT": 1},
    location_lat_cell=557,
    location_lon_cell=376,
    log_partition=7,
    version=104_211,
)
BEFORE = ROW._replace(report_date=date(2026, 11, 16), usage_ms=8_000_000, version=98_003)
AS_OF = WATERMARKS[7]


def _bodies() -> dict[type[schemas.Shape], schemas.Shape]:
    return {
        schemas.Page: schemas.Page(USER_ID, domain.daily_reports([ROW], WATERMARKS), "MjAyNi0xMS0yMyAxNw", AS_OF, 420),
        schemas.Today: domain.today(USER_ID, [ROW], WATERMARKS, NOW, zone_before="UTC", partitions_before=()),
        schemas.Hours: domain.hours(USER_ID, ROW.report_date, [ROW], WATERMARKS, NOW),
        schemas.Summary: summary(USER_ID, DayRange(date(2026, 11, 17), ROW.report_date), [ROW, BEFORE], WATERMARKS, NOW),
        schemas.Health: schemas.Health("ok", {"clickhouse": "ok", "keys": "ok"}),
    }


EXAMPLES: dict[type[schemas.Shape], Any] = {shape: msgspec.to_builtins(body) for shape, body in _bodies().items()}
"""JSON of an example by shape."""

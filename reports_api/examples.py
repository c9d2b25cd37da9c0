"""Examples of every answer, as they stand in the OpenAPI document; a test validates each against its schema."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec

from reports_api import detail_schemas, domain, error_texts, schemas
from reports_api.error_times import error_times
from reports_api.prostheses import prostheses
from reports_api.summary import DayRange, summary
from reports_api.typical_day import typical_day
from reports_api.wearers import wearers
from schemas.mart import MartRow
from schemas.reader_views import ErrorRow, OwnershipRow, TypicalHourRow, WearerRow

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
    battery_first_bp_by_hour=[-1] * 7 + [10_000, 9_500, 9_000, 8_500, 8_000, 7_400, 6_800, 6_300, 5_900] + [-1] * 8,
    battery_last_bp_by_hour=[-1] * 7 + [9_550, 9_050, 8_550, 8_050, 7_450, 6_850, 6_350, 5_950, 5_400] + [-1] * 8,
    error_count=2,
    critical_error_count=1,
    errors_by_code={"E_GRIP_TIMEOUT": 1, "E_OVERHEAT": 1},
    location_lat_cell=557,
    location_lon_cell=376,
    log_partition=7,
    version=104_211,
)


def _earlier(days: int, **changes: Any) -> MartRow:
    """As ROW, so many days before."""
    past = timedelta(days=days)
    return ROW._replace(
        report_date=ROW.report_date - past, day_starts_at=ROW.day_starts_at - past, day_ends_at=ROW.day_ends_at - past, **changes
    )


ROWS = [ROW, _earlier(1, version=103_870), _earlier(7, usage_ms=8_000_000, battery_drain_bp=4_000, version=98_003)]
AS_OF = WATERMARKS[7]
WEEK = DayRange(date(2026, 11, 17), ROW.report_date)
TYPICAL_HOURS = [TypicalHourRow(USER_ID, hour, 6, (0, 0, 0), (0, 0, 0)) for hour in range(8)] + [
    TypicalHourRow(USER_ID, hour, 6, (600_000, 900_000, 1_200_000), tuple((hour - 7) * ms for ms in (600_000, 900_000, 1_200_000)))
    for hour in range(8, 24)
]
ERRORS = [
    ErrorRow(USER_ID, ROW.report_date, "17", datetime(2026, 11, 23, 12, 4, 30, tzinfo=UTC), "E_OVERHEAT", 3),
    ErrorRow(USER_ID, ROW.report_date, "17", datetime(2026, 11, 23, 7, 15, 2, 500_000, UTC), "E_GRIP_TIMEOUT", 2),
]
OWNED = [OwnershipRow(USER_ID, "17", "BionicHand 3", "BH3-000017", 1_767_214_800_000_000, None, "BP-2026-0017", "Europe/Moscow")]


def _bodies() -> dict[type[schemas.Shape], schemas.Shape]:
    return {
        schemas.Page: schemas.Page(USER_ID, domain.daily_reports([ROW], WATERMARKS), "MjAyNi0xMS0yMyAxNw", AS_OF, 420),
        schemas.Today: domain.today(USER_ID, [ROW], WATERMARKS, NOW),
        schemas.Hours: domain.hours(USER_ID, ROW.report_date, [ROW], WATERMARKS, NOW),
        schemas.Summary: summary(USER_ID, WEEK, ROWS, WATERMARKS, NOW),
        detail_schemas.TypicalDay: typical_day(USER_ID, WEEK, "", TYPICAL_HOURS, as_of=AS_OF, now=NOW),
        detail_schemas.ErrorTimes: error_times(USER_ID, ROW.report_date, [ROW], ERRORS, watermarks=WATERMARKS, now=NOW),
        detail_schemas.ErrorTexts: error_texts.read().of("en"),
        detail_schemas.Prostheses: prostheses(USER_ID, OWNED, {"17": ROW.report_date}, NOW),
        detail_schemas.Wearers: wearers([WearerRow(USER_ID, "Анна Петрова", ["BP-2026-0017"], [("BionicHand 3", "BH3-000017")])]),
        schemas.Health: schemas.Health("ok", {"clickhouse": "ok", "keys": "ok"}),
    }


EXAMPLES: dict[type[schemas.Shape], Any] = {shape: msgspec.to_builtins(body) for shape, body in _bodies().items()}
"""JSON of an example by shape."""

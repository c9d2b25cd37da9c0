"""What sources may hold though nobody would expect it: values at and past each limit of ``schemas/limits.py`` and ``schemas/ranges.py``. Pure.

PostgreSQL writes times that Python has none for, so these stand as text.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

Row = dict[str, Any]

# A day of 27 hours, as the pinned time-zone database has it.
LONG_DAY_ZONE = "Antarctica/Casey"
LONG_DAY = datetime(2018, 3, 9, tzinfo=UTC)
# Not letter by letter a name of the time-zone database: UTC, for the processor and the oracle alike.
ODD_ZONES = ("America.Argentina/Buenos_Aires", "europe/moscow", "Mars/Olympus", "", " UTC", "UTC+3")

# Refused: each is a dead letter, and counts in no report. The first is far larger than any dead letter may be, but for the connectors' cut.
REFUSED: tuple[Row, ...] = (
    {"kind": "error", "error_code": "x" * 1_200_000, "error_severity": "info"},
    {"kind": "error", "error_code": "x" * 65, "error_severity": "info"},
    {"kind": "error", "error_code": "x" * 1_001, "error_severity": "critical"},
    {"kind": "signal", "amplitude_uv": 1_000_001, "movement_recognised": True, "active_ms": 1},
    {"kind": "signal", "amplitude_uv": 1, "movement_recognised": True, "active_ms": 3_600_001},
    {"kind": "battery", "battery_percent": 101},
    {"kind": "battery", "battery_percent": -1},
    {"kind": "location", "latitude": 1e308, "longitude": 0.0},
    {"kind": "location", "latitude": math.nan, "longitude": 0.0},
    {"kind": "location", "latitude": 0.0, "longitude": -math.inf},
    {"kind": "location", "latitude": 90.00001, "longitude": 0.0},
    {"recorded_at": "2110-01-01 00:00:00+00", "kind": "battery", "battery_percent": 1},
    {"recorded_at": "9999-12-31 23:59:59.999999+00", "kind": "battery", "battery_percent": 1},
    {"recorded_at": "10000-01-01 00:00:00+00", "kind": "battery", "battery_percent": 1},
    {"recorded_at": "0044-03-15 00:00:00+00 BC", "kind": "battery", "battery_percent": 1},
    {"recorded_at": "1999-12-31 23:59:59.999999+00", "kind": "battery", "battery_percent": 1},
    {"recorded_at": "infinity", "kind": "battery", "battery_percent": 1},
    {"recorded_at": "-infinity", "kind": "battery", "battery_percent": 1},
    {"recorded_at": None, "kind": "battery", "battery_percent": 1},
)
# Counted: as far as a value may go.
OUTERMOST: tuple[Row, ...] = (
    {"kind": "error", "error_code": "x" * 64, "error_severity": "info"},
    {"kind": "error", "error_code": "a.B_c-9", "error_severity": "warning"},
    {"kind": "signal", "amplitude_uv": 1_000_000, "movement_recognised": True, "active_ms": 3_600_000},
    {"kind": "signal", "amplitude_uv": 0, "movement_recognised": False, "active_ms": 0},
    {"kind": "battery", "battery_percent": 0},
    {"kind": "location", "latitude": -90.0, "longitude": 180.0},
    {"kind": "location", "latitude": 5e-324, "longitude": -0.0},
    {"recorded_at": "2000-01-01 00:00:00+00", "kind": "battery", "battery_percent": 1},
)
# Bounds of contracts, compared exactly and then cut to the time of events.
BOUNDS = (
    "-infinity", "infinity", "4713-01-01 00:00:00+00 BC", "0044-03-15 00:00:00+00 BC", "1969-12-31 23:59:59.999999+00",
    "9999-12-31 23:59:59.999999+00", "10000-01-01 00:00:00+00", "294276-12-31 00:00:00+00",
)  # fmt: skip
# More than a dead letter may hold (``limits.DEAD_LETTER``), compressible to what the log takes.
TOO_LARGE_BYTES = 4_800_000

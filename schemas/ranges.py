"""What an event, a contract and an id may be: the numbers of docs/metrics.md, in one place for the decoder, the oracle, commands and the store's columns.

Numbers only, no formulas: the processor and the oracle share what is said, not how it is computed.
"""

from __future__ import annotations

import re
from datetime import date

EARLIEST_US = 946_684_800_000_000
"""2000-01-01 UTC: the first instant an event may have, in microseconds since 1970-01-01 UTC."""
END_US = 4_102_444_800_000_000
"""2100-01-01 UTC: the first instant that no event has. The mart's days are 32-bit seconds, which end in 2106."""
FIRST_DAY, LAST_DAY = date(1999, 12, 30), date(2100, 1, 2)
"""No report is of a day outside these, whatever the time zone."""
OUTERMOST_US = (1 << 62) - 1
"""Instants further from 1970 than this, infinite ones too, are read as this far: arithmetic on two of them fits 64 bits."""

MAX_AMPLITUDE_UV = 1_000_000
MAX_ACTIVE_MS = 3_600_000
MAX_BATTERY_BP = 10_000
MAX_LATITUDE, MAX_LONGITUDE = 90, 180
ERROR_CODE = r"[A-Za-z0-9_.-]{1,64}"

MAX_INTEGER_ID = (1 << 63) - 1
INTEGER_ID = r"(0|[1-9][0-9]{0,18})"
"""An integer id as text; the greatest is MAX_INTEGER_ID."""
UUID_ID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
ORDERED_ID = r"(0|-?[1-9][0-9]*)"
"""A contract id that is compared by value."""
NUMBER = r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?"
"""A number that comes as text, which is how JSON writes one."""

is_ordered_id = re.compile(ORDERED_ID).fullmatch

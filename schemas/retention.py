"""How long telemetry is kept, and which days of reports are therefore closed: nothing changes a report whose raw rows may have expired.

The numbers stand in ClickHouse (``<shared>.retention``); ``bionicpro schema retention`` sets them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

RAW, SOURCE = "raw", "source"
QUERY = "SELECT what, days FROM retention FINAL WHERE days > 0"
# Raw rows live this much longer than days stay open: local days reach beyond UTC days on both sides, and clocks differ.
TTL_MARGIN_DAYS = 3
# The first days that are open may lack events that came when they were about to close.
VERIFY_MARGIN_DAYS = 3


@dataclass(frozen=True, slots=True)
class Retention:
    """*raw_days*: how long ClickHouse keeps raw telemetry; *source_days*: how long PostgreSQL keeps it, by a retention job; None: for ever."""

    raw_days: int | None = None
    source_days: int | None = None

    @classmethod
    def of(cls, rows: list[tuple[str, int]]) -> Retention:
        """The answer to ``QUERY``."""
        days = dict(rows)
        return cls(days.get(RAW), days.get(SOURCE))

    def first_open(self, today: date) -> date | None:
        """The first day of reports that may change; None: every day may."""
        return None if self.raw_days is None else today - timedelta(days=self.raw_days)

    def first_verifiable(self, today: date) -> date | None:
        """The first day of reports that PostgreSQL and raw both hold all telemetry of; None: every day."""
        kept = [days for days in (self.raw_days, self.source_days) if days is not None]
        return today - timedelta(days=min(kept)) + timedelta(days=VERIFY_MARGIN_DAYS) if kept else None

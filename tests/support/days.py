"""The day that it is."""

from __future__ import annotations

from datetime import UTC, date, datetime


def today() -> date:
    """Of wearers who live in UTC. Asked for each time: a run of the tests may go past midnight."""
    return datetime.now(UTC).date()

"""One time-zone database for the reports service, the processor and the oracle: the same names, and the same day at every instant."""

from __future__ import annotations

import ast
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from reconciliation.zones import midnight_us
from reports_api.domain import local_date
from schemas import zones
from stream_processor.domain.calendar import local_day

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["America.Argentina/Buenos_Aires", "europe/moscow", "Europe/Moscow ", "posix/Europe/Moscow", "../Europe/Moscow", "/etc/localtime",
                                  "Europe", "", "UTC+3", "Europe/Мoscow", "x" * 5_000, "tzdata.zi", "zone.tab"])  # fmt: skip
def test_any_other_spelling_is_unknown_and_utc_everywhere(name: str) -> None:
    evening = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)
    assert not zones.is_known(name)
    assert zones.in_force(name) == "UTC"
    assert local_date(evening, name) == date(2026, 11, 20)
    assert local_day(name, (evening - EPOCH) // timedelta(microseconds=1)).date == date(2026, 11, 20)


@pytest.mark.parametrize(
    "name", ["America/Vancouver", "America/Winnipeg", "America/Havana", "Africa/Casablanca", "Antarctica/Casey", "Europe/Moscow", "UTC"]
)
def test_today_is_the_same_day_for_the_reports_service_the_processor_and_the_oracle(name: str) -> None:
    for hour in range(0, 24 * 730, 5):
        at = datetime(2025, 11, 20, 0, 30, tzinfo=UTC) + timedelta(hours=hour)
        at_us = (at - EPOCH) // timedelta(microseconds=1)
        day = local_day(name, at_us)
        assert local_date(at, name) == day.date
        assert midnight_us(name, day.date) == day.starts_us <= at_us < day.ends_us


def test_nobody_else_opens_a_time_zone_by_its_name() -> None:
    """``ZoneInfo(name)`` would read the machine's files."""
    folders = ("reports_api", "stream_processor", "reconciliation", "schemas", "cli", "eraser")
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    calls = {
        str(path.relative_to(ROOT)): ast.unparse(node)
        for path in paths
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("ZoneInfo")
    }
    assert calls == {}

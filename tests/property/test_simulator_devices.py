"""The model of devices: what holds for any device, day and moment."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.demo_data import CUSTOMERS
from simulator.devices import Device, Reading, battery_percent, live_reading, plan_day, readings
from simulator.live import LiveDevices

# A busy machine is no failure.
untimed = settings(deadline=None)

ZONES = sorted({customer.timezone for customer in CUSTOMERS})
devices = st.builds(
    Device,
    prosthesis_id=st.integers(1, 10**6),
    serial_number=st.text(min_size=1, max_size=12),
    timezone=st.sampled_from(ZONES),
    home=st.tuples(st.floats(-60, 60), st.floats(-170, 170)),
)
days = st.dates(date(2025, 1, 1), date(2027, 12, 31))
# What a reading of each kind carries; nothing else may be set.
CARRIES = {
    "signal": {"amplitude_uv", "movement_recognised", "active_ms"},
    "battery": {"battery_percent"},
    "error": {"error_code", "error_severity"},
    "location": {"latitude", "longitude"},
}
FACETS = set().union(*CARRIES.values())


def assert_valid(reading: Reading) -> None:
    """The ranges of docs/metrics.md, and only the fields of the kind."""
    assert {field for field in FACETS if getattr(reading, field) is not None} == CARRIES[reading.kind]
    assert reading.amplitude_uv is None or 0 <= reading.amplitude_uv <= 1_000_000
    assert reading.active_ms is None or 0 <= reading.active_ms <= 3_600_000
    assert reading.battery_percent is None or 0 <= reading.battery_percent <= 100
    assert reading.error_severity in {None, "info", "warning", "critical"}
    assert reading.latitude is None or -90 <= reading.latitude <= 90
    assert reading.longitude is None or -180 <= reading.longitude <= 180
    assert reading.received_at >= reading.recorded_at


@untimed
@given(devices, days)
def test_every_reading_is_valid_and_of_its_local_day(device: Device, day: date) -> None:
    found = readings(plan_day(device, day))
    assert found == sorted(found, key=lambda reading: reading.recorded_at)
    # The last battery sample may be taken shortly after the wearer lies down, past midnight.
    latest = day + timedelta(days=1)
    for reading in found:
        assert_valid(reading)
        assert day <= reading.recorded_at.astimezone(ZoneInfo(device.timezone)).date() <= latest


@untimed
@given(devices, days)
def test_the_same_device_and_day_give_the_same_readings(device: Device, day: date) -> None:
    plan_day.cache_clear()
    first = readings(plan_day(device, day))
    plan_day.cache_clear()
    assert readings(plan_day(device, day)) == first


@untimed
@given(devices, days)
def test_signals_are_made_in_waking_hours_only(device: Device, day: date) -> None:
    plan = plan_day(device, day)
    assert all(plan.awake(reading.recorded_at) for reading in readings(plan) if reading.kind != "battery")
    assert timedelta(hours=12) < plan.sleeps - plan.wakes < timedelta(hours=19)


@untimed
@given(devices, days, st.integers(0, 24 * 60 - 2))
def test_the_battery_never_falls_faster_than_it_drains_nor_rises_faster_than_it_charges(device: Device, day: date, minute: int) -> None:
    plan = plan_day(device, day)
    moment = plan.wakes + timedelta(minutes=minute) - timedelta(hours=2)
    step = battery_percent(plan, moment + timedelta(minutes=1)) - battery_percent(plan, moment)
    assert -2 <= step <= 3


@untimed
@given(devices, days)
def test_what_is_recorded_in_a_gap_is_received_when_it_ends(device: Device, day: date) -> None:
    plan = plan_day(device, day)
    for reading in readings(plan):
        inside = plan.gap is not None and plan.gap.begins <= reading.recorded_at < plan.gap.ends
        assert reading.received_at == (plan.gap.ends if inside and plan.gap else reading.recorded_at)


@untimed
@given(devices, days, st.integers(0, 86_399), st.integers())
def test_a_live_reading_is_valid_at_any_moment(device: Device, day: date, second: int, seed: int) -> None:
    plan = plan_day(device, day)
    moment = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(seconds=second)
    assert_valid(live_reading(plan, moment, Random(seed)))


@untimed
@given(st.integers(0, 365 * 24 * 60).map(lambda minute: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)))
def test_somebody_of_the_demo_is_awake_at_any_moment(now: datetime) -> None:
    fleet = demo_fleet()
    world = LiveDevices(Random(1), fleet)
    assert len(world.tick(now, 1.0, rate=10.0)) + len(world.buffered) == 10


@untimed
@given(st.integers(), st.lists(st.floats(0.01, 3.0), min_size=1, max_size=200), st.floats(0.1, 100))
def test_nothing_that_offline_devices_hold_is_lost(seed: int, steps: list[float], rate: float) -> None:
    world = LiveDevices(Random(seed), demo_fleet())
    now = datetime(2026, 11, 23, 12, tzinfo=UTC)
    uploaded: list[Reading] = []
    for step in steps:
        now += timedelta(seconds=step)
        uploaded += world.tick(now, step, rate)
    uploaded += world.flush()
    assert abs(len(uploaded) - rate * sum(steps)) < 1.001
    assert world.buffered == []
    assert world.flush() == []


def test_an_offline_device_uploads_later_what_it_recorded_before() -> None:
    world = LiveDevices(Random(3), demo_fleet()[:1])
    now = datetime(2026, 11, 23, 12, tzinfo=UTC)  # 15:00 in Moscow
    world.offline_until[1] = now + timedelta(seconds=10)
    assert world.tick(now, 1.0, rate=5.0) == []
    late = world.tick(now + timedelta(seconds=10), 1.0, rate=0.0)
    assert len(late) == 5
    assert all(reading.recorded_at <= now for reading in late)


def test_the_rate_is_kept_over_many_short_ticks() -> None:
    world = LiveDevices(Random(5), demo_fleet())
    now = datetime(2026, 11, 23, 12, tzinfo=UTC)
    made = sum(len(world.tick(now + timedelta(seconds=0.2 * n), 0.2, rate=1.3)) for n in range(500)) + len(world.flush())
    assert made == pytest.approx(130, abs=1)


def demo_fleet() -> list[Device]:
    return [Device(number, f"S{number}", customer.timezone, customer.home) for number, customer in enumerate(CUSTOMERS, 1)]

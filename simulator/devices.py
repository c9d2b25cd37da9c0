"""A believable day of a prosthesis, pure and seeded: the same device and day give the same readings.

A wearer wakes, uses the prosthesis more at meals than in between, charges it when it runs low and at night, is at home and elsewhere. Now and then the
device has no network: what it recorded then is uploaded when the gap ends, hours or days late.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from random import Random
from zoneinfo import ZoneInfo

SIGNALS_PER_DAY = 110
# A day of history is told in about a hundred signals, each summing up minutes of use; live ones come by the second.
HISTORY_ACTIVE_MS = 110_000
LIVE_ACTIVE_MS = 1_000
BATTERY_EVERY = timedelta(minutes=40)
CHARGE_BELOW_PERCENT = 18
CHARGE_PERCENT_PER_MINUTE = 1.2

# How busy each local hour of the day is, from 0:00; asleep hours are cut by the wearer's own waking times.
_BUSY = (1, 1, 1, 1, 1, 2, 4, 8, 9, 6, 5, 6, 9, 7, 5, 5, 6, 8, 9, 8, 6, 4, 3, 2)

ERRORS = (("SENSOR_DRIFT", "info", 6), ("GRIP_TIMEOUT", "warning", 3), ("MOTOR_STALL", "critical", 1))


@dataclass(frozen=True)
class Device:
    """A prosthesis on its wearer: *home* is (latitude, longitude) in degrees, *timezone* an IANA name."""

    prosthesis_id: int
    serial_number: str
    timezone: str
    home: tuple[float, float]


@dataclass(frozen=True)
class Reading:
    """One row of telemetry, in the units of the source table. Times are aware UTC; *received_at* is when it was uploaded."""

    prosthesis_id: int
    recorded_at: datetime
    received_at: datetime
    kind: str
    amplitude_uv: int | None = None
    movement_recognised: bool | None = None
    active_ms: int | None = None
    battery_percent: int | None = None
    error_code: str | None = None
    error_severity: str | None = None
    latitude: float | None = None
    longitude: float | None = None


@dataclass(frozen=True)
class Gap:
    """No network from *begins* to *ends*."""

    begins: datetime
    ends: datetime


@dataclass(frozen=True)
class DayPlan:
    """What a device's local day will be like. Instants are aware UTC; drain is in percent an hour awake; *skill* is the chance of recognition."""

    device: Device
    wakes: datetime
    sleeps: datetime
    full_percent: int
    drain: float
    skill: float
    loudness_uv: float
    gap: Gap | None

    def awake(self, moment: datetime) -> bool:
        return self.wakes <= moment < self.sleeps

    def received_at(self, recorded_at: datetime) -> datetime:
        """When a reading of that instant reaches the server: at once, or when the gap it falls into ends."""
        if self.gap is not None and self.gap.begins <= recorded_at < self.gap.ends:
            return self.gap.ends
        return recorded_at


@lru_cache(maxsize=4096)
def plan_day(device: Device, day: date) -> DayPlan:
    """The plan of *device* on *day*, a date of its wearer's time zone."""
    rng = Random(f"{device.serial_number}/{day}")  # noqa: S311 - a model, no secret
    late = 70 if day.weekday() >= 5 else 0
    wakes = _local(day, device.timezone, 7 * 60 + late + rng.randint(-45, 45))
    sleeps = _local(day, device.timezone, 22 * 60 + late // 2 + rng.randint(-40, 60))
    temper = Random(device.serial_number)  # noqa: S311 - a model, no secret
    practice = 0.06 * math.tanh((day.toordinal() - date(2026, 9, 1).toordinal()) / 60)
    return DayPlan(
        device=device,
        wakes=wakes,
        sleeps=sleeps,
        full_percent=rng.randint(96, 100),
        drain=temper.uniform(3.6, 6.4) * rng.uniform(0.85, 1.2),
        skill=min(0.99, temper.uniform(0.80, 0.90) + practice + rng.uniform(-0.03, 0.03)),
        loudness_uv=temper.uniform(160, 520),
        gap=_gap(rng, wakes),
    )


def readings(plan: DayPlan) -> list[Reading]:
    """The plan's whole day of readings, by time. At most a few hundred."""
    rng = Random(f"{plan.device.serial_number}/{plan.wakes.isoformat()}/readings")  # noqa: S311 - a model, no secret
    found = [*_signals(plan, rng), *_batteries(plan, rng), *_errors(plan, rng), *_locations(plan, rng)]
    return sorted(found, key=lambda reading: (reading.recorded_at, reading.kind))


def live_reading(plan: DayPlan, moment: datetime, rng: Random) -> Reading:
    """What the device would report at *moment*: mostly a signal, sometimes its battery, its place or an error."""
    dice = rng.random()
    if dice < 0.88:
        return _signal(plan, moment, rng, LIVE_ACTIVE_MS)
    if dice < 0.94:
        return _reading(plan, moment, kind="battery", battery_percent=battery_percent(plan, moment))
    if dice < 0.99:
        return _location(plan, moment, rng)
    return _error(plan, moment, rng)


def battery_percent(plan: DayPlan, moment: datetime) -> int:
    """The charge at *moment*, 0 … 100: falls while awake, is charged when low until full, and again at night."""
    if moment < plan.wakes:
        return plan.full_percent
    level = _drained(plan, min(moment, plan.sleeps) - plan.wakes)
    if moment > plan.sleeps:
        level += CHARGE_PERCENT_PER_MINUTE * (moment - plan.sleeps) / timedelta(minutes=1)
    return max(0, min(100, round(level)))


def _drained(plan: DayPlan, awake: timedelta) -> float:
    """The charge after so much time awake: a saw-tooth of draining to the threshold and charging back."""
    hours = awake / timedelta(hours=1)
    down = (plan.full_percent - CHARGE_BELOW_PERCENT) / plan.drain
    up = (plan.full_percent - CHARGE_BELOW_PERCENT) / (CHARGE_PERCENT_PER_MINUTE * 60)
    phase = hours % (down + up)
    if phase < down:
        return plan.full_percent - plan.drain * phase
    return CHARGE_BELOW_PERCENT + CHARGE_PERCENT_PER_MINUTE * 60 * (phase - down)


def _gap(rng: Random, wakes: datetime) -> Gap | None:
    dice = rng.random()
    if dice < 0.015:  # away for days
        return Gap(wakes, wakes + timedelta(hours=rng.uniform(20, 60)))
    if dice < 0.16:
        begins = wakes + timedelta(hours=rng.uniform(0, 12))
        return Gap(begins, begins + timedelta(minutes=rng.uniform(20, 300)))
    return None


def _local(day: date, timezone: str, minute: int) -> datetime:
    local = datetime.combine(day, time(), ZoneInfo(timezone)) + timedelta(minutes=minute)
    return local.astimezone(UTC)


def _reading(plan: DayPlan, moment: datetime, *, kind: str, battery_percent: int | None = None) -> Reading:
    return Reading(
        prosthesis_id=plan.device.prosthesis_id,
        recorded_at=moment,
        received_at=plan.received_at(moment),
        kind=kind,
        battery_percent=battery_percent,
    )


def _signal(plan: DayPlan, moment: datetime, rng: Random, typical_ms: int) -> Reading:
    amplitude = min(20_000, round(plan.loudness_uv * rng.lognormvariate(0, 0.55)))
    weak = 0.25 if amplitude < plan.loudness_uv * 0.4 else 0.0
    tired = 0.1 if battery_percent(plan, moment) < CHARGE_BELOW_PERCENT + 5 else 0.0
    recognised = rng.random() < plan.skill - weak - tired
    active_ms = round(min(5.0, rng.lognormvariate(0, 0.6)) * typical_ms) if recognised else rng.randint(0, 400)
    signal = _reading(plan, moment, kind="signal")
    return replace(signal, amplitude_uv=amplitude, movement_recognised=recognised, active_ms=active_ms)


def _error(plan: DayPlan, moment: datetime, rng: Random) -> Reading:
    code, severity, _ = rng.choices(ERRORS, [weight for _, _, weight in ERRORS])[0]
    return replace(_reading(plan, moment, kind="error"), error_code=code, error_severity=severity)


def _location(plan: DayPlan, moment: datetime, rng: Random) -> Reading:
    latitude, longitude = plan.device.home
    hours = (moment - plan.wakes) / timedelta(hours=1)
    away = 0.18 if 2 < hours < 10 else 0.0  # degrees: at work, a cell or two from home
    return replace(
        _reading(plan, moment, kind="location"),
        latitude=round(latitude + away + rng.gauss(0, 0.01), 6),
        longitude=round(longitude + away + rng.gauss(0, 0.01), 6),
    )


def _signals(plan: DayPlan, rng: Random) -> Iterator[Reading]:
    zone = ZoneInfo(plan.device.timezone)
    count = max(0, round(rng.gauss(SIGNALS_PER_DAY, 18)))
    made = 0
    while made < count:
        moment = _moment(plan, rng)
        if rng.random() * max(_BUSY) < _BUSY[moment.astimezone(zone).hour]:
            made += 1
            yield _signal(plan, moment, rng, HISTORY_ACTIVE_MS)


def _batteries(plan: DayPlan, rng: Random) -> Iterator[Reading]:
    moment = plan.wakes + timedelta(seconds=rng.uniform(0, 600))
    while moment < plan.sleeps + timedelta(hours=1):
        yield _reading(plan, moment, kind="battery", battery_percent=battery_percent(plan, moment))
        moment += BATTERY_EVERY + timedelta(seconds=rng.uniform(-200, 200))


def _errors(plan: DayPlan, rng: Random) -> Iterator[Reading]:
    for _ in range(rng.choices((0, 1, 2, 5), (55, 30, 13, 2))[0]):
        yield _error(plan, _moment(plan, rng), rng)


def _locations(plan: DayPlan, rng: Random) -> Iterator[Reading]:
    for _ in range(rng.randint(4, 8)):
        yield _location(plan, _moment(plan, rng), rng)


def _moment(plan: DayPlan, rng: Random) -> datetime:
    span = int((plan.sleeps - plan.wakes) / timedelta(microseconds=1))
    return plan.wakes + timedelta(microseconds=rng.randrange(span))

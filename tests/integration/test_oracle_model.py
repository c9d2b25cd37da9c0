"""The oracle's SQL against a second, naive reading of docs/metrics.md in Python, on generated telemetry and contracts.

The model goes event by event and looks at every contract and every minute-exact day boundary anew; it shares nothing with the SQL but the page.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciliation.fields import FIELDS, Key
from tests.support.endpoints import PostgresEndpoint
from tests.support.oracle_cases import RECEIVED, Sources, micro, rolled_back, user

ZONES = (
    "UTC",
    "Europe/Berlin",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/St_Johns",
    "Nowhere/At_All",
)
HOUR = timedelta(hours=1)
Event = dict[str, Any]
Contract = tuple[int, int, int, datetime, datetime | None]

# Around changes of clocks on both hemispheres, so that short ranges meet them.
CENTRES = [
    datetime(2026, 3, 29, 1, tzinfo=UTC),
    datetime(2025, 10, 26, 1, tzinfo=UTC),
    datetime(2026, 4, 4, 15, tzinfo=UTC),
    datetime(2026, 6, 1, tzinfo=UTC),
]
# Coarse steps make ties in time and borders of hours and days frequent.
offsets = st.one_of(
    st.integers(-144, 144).map(lambda n: n * timedelta(minutes=30)), st.integers(-(10**11), 10**11).map(lambda n: timedelta(microseconds=n))
)


@st.composite
def instants(draw: st.DrawFn, centre: datetime) -> datetime:
    return centre + draw(offsets)


def events(centre: datetime) -> st.SearchStrategy[Event]:
    kinds = {
        "signal": {"amplitude_uv": st.one_of(st.integers(0, 20_000), st.sampled_from([-1, 1_000_000, 1_000_001, None])),
                   "movement_recognised": st.sampled_from([True, True, False, None]),
                   "active_ms": st.one_of(st.integers(0, 5000), st.sampled_from([3_600_000, 3_600_001, -1]))},
        "battery": {"battery_percent": st.one_of(st.integers(0, 100), st.sampled_from([-1, 101, None]))},
        "error": {"error_code": st.sampled_from(["E1", "e.2", "x_-", "", "a b", None]), "error_severity": st.sampled_from(["info", "critical", "warning", "bad", None])},
        "location": {"latitude": st.one_of(st.floats(-90, 90), st.integers(-900, 900).map(lambda n: n / 10), st.sampled_from([math.nan, 90.5])),
                     "longitude": st.one_of(st.floats(-180, 180), st.sampled_from([math.inf, -180.0, None]))},
        "nonsense": {},
    }  # fmt: skip
    return st.one_of(
        *(
            st.fixed_dictionaries({"kind": st.just(kind), "prosthesis_id": st.integers(1, 2), "recorded_at": instants(centre), **columns})
            for kind, columns in kinds.items()
        )
    )


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[str], list[Contract], list[Event]]:
    centre = draw(st.sampled_from(CENTRES))
    zones = draw(st.lists(st.sampled_from(ZONES), min_size=3, max_size=3))
    contract = st.tuples(st.integers(1, 3), st.integers(1, 2), instants(centre - timedelta(days=2)), st.one_of(st.none(), instants(centre)))
    contracts = [(n, *rest) for n, rest in enumerate(draw(st.lists(contract, max_size=6)), start=1)]
    always: list[Contract] = [(90 + p, p, p, datetime(2001, 1, 1, tzinfo=UTC), None) for p in (1, 2)] if draw(st.booleans()) else []
    return zones, contracts + always, draw(st.lists(events(centre), max_size=60))


@pytest.fixture(scope="module")
def db(sources: PostgresEndpoint) -> Iterator[Sources]:
    with rolled_back(sources) as databases:
        yield databases


@settings(max_examples=40, deadline=None)
@given(case=cases())
def test_the_sql_and_a_naive_model_agree_on_every_field(db: Sources, case: tuple[list[str], list[Contract], list[Event]]) -> None:
    zones, contracts, telemetry = case
    with db.crm.transaction(force_rollback=True), db.telemetry.transaction(force_rollback=True):
        for customer, zone in enumerate(zones, start=1):
            db.customer(customer, zone)
        for prosthesis in (1, 2):
            db.prosthesis(prosthesis)
        for contract in contracts:
            db.contract(*contract)
        with db.telemetry.pipeline():
            for event in telemetry:
                db.event(**event)
        found = {key: dict(zip(FIELDS, values, strict=True)) for key, values in db.reports(date(2025, 1, 1), date(2026, 12, 31)).items()}
    assert found == model(zones, contracts, telemetry)


# -- the model -----------------------------------------------------------------------------------------------------------


def model(zones: list[str], contracts: list[Contract], telemetry: list[Event]) -> dict[Key, dict[str, Any]]:
    grouped: dict[tuple[int, date, int], list[Event]] = defaultdict(list)
    for event in telemetry:
        contract = owner(contracts, event["prosthesis_id"], event["recorded_at"])
        if valid(event) and contract is not None:
            grouped[contract[1], day_of(zone_of(zones, contract[1]), event["recorded_at"]), event["prosthesis_id"]].append(event)
    return {
        Key(user(customer), day, str(prosthesis)): report(zone_of(zones, customer), contracts, (customer, day, prosthesis), rows)
        for (customer, day, prosthesis), rows in grouped.items()
    }


def valid(event: Event) -> bool:
    if event["recorded_at"] > RECEIVED + timedelta(hours=24):
        return False
    within = {
        "amplitude_uv": lambda v: 0 <= v <= 1_000_000, "movement_recognised": lambda v: True, "active_ms": lambda v: 0 <= v <= 3_600_000,
        "battery_percent": lambda v: 0 <= v <= 100, "error_code": lambda v: re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", v) is not None,
        "error_severity": lambda v: v in ("info", "warning", "critical"),
        "latitude": lambda v: -90 <= v <= 90, "longitude": lambda v: -180 <= v <= 180,
    }  # fmt: skip
    columns = [name for name in event if name in within]
    return event["kind"] != "nonsense" and all(event[name] is not None and within[name](event[name]) for name in columns)


def owner(contracts: list[Contract], prosthesis: int, at: datetime) -> Contract | None:
    holding = [c for c in contracts if c[2] == prosthesis and c[3] <= at and (c[4] is None or at < c[4])]
    return max(holding, key=lambda c: (c[3], c[0]), default=None)


def zone_of(zones: list[str], customer: int) -> str:
    return "UTC" if zones[customer - 1].startswith("Nowhere") else zones[customer - 1]


def midnight(zone: str, day: date) -> datetime:
    """The first instant, in steps of a quarter of an hour, whose local date is *day* or later."""
    at = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=15)
    while at.astimezone(ZoneInfo(zone)).date() < day:
        at += timedelta(minutes=15)
    return at


def day_of(zone: str, at: datetime) -> date:
    return at.astimezone(ZoneInfo(zone)).date()


def cell(degrees: float) -> int:
    scaled = Fraction(degrees * 1e6)
    return math.floor(Fraction(round(scaled), 100_000))


def report(zone: str, contracts: list[Contract], key: tuple[int, date, int], rows: list[Event]) -> dict[str, Any]:
    customer, day, prosthesis = key
    start, end = midnight(zone, day), midnight(zone, day + timedelta(days=1))
    of = {kind: [row for row in rows if row["kind"] == kind] for kind in ("signal", "battery", "error", "location")}
    amplitudes = [row["amplitude_uv"] for row in of["signal"]]
    usage = [0] * math.ceil((end - start) / HOUR)
    for row in of["signal"]:
        usage[(row["recorded_at"] - start) // HOUR] += row["active_ms"]
    histogram = Counter(min(15, a.bit_length()) for a in amplitudes)
    places = [(row["recorded_at"], cell(row["latitude"]), cell(row["longitude"])) for row in of["location"]]
    last = max(places) if places else (None, None, None)
    contract = shown_contract(contracts, customer, prosthesis, (start, end))
    return {
        "customer_id": str(customer), "customer_name": f"Customer {customer}", "timezone": zone,
        "contract_id": str(contract), "contract_number": f"K-{contract}",
        "prosthesis_model": f"Model {prosthesis}", "prosthesis_serial_number": f"SN-{prosthesis}",
        "day_starts_at": int(start.timestamp()), "day_ends_at": int(end.timestamp()), "event_count": len(rows),
        "first_event_at": micro(min(row["recorded_at"] for row in rows)), "last_event_at": micro(max(row["recorded_at"] for row in rows)),
        "usage_ms": sum(usage), "usage_ms_by_hour": tuple(usage),
        "signal_count": len(of["signal"]), "recognised_count": sum(row["movement_recognised"] for row in of["signal"]),
        "amplitude_uv_sum": sum(amplitudes), "amplitude_uv_min": min(amplitudes, default=0), "amplitude_uv_max": max(amplitudes, default=0),
        "amplitude_histogram": tuple(histogram[n] for n in range(16)), **battery(of["battery"], start, len(usage)),
        "error_count": len(of["error"]), "critical_error_count": sum(row["error_severity"] == "critical" for row in of["error"]),
        "errors_by_code": dict(Counter(row["error_code"] for row in of["error"])),
        "location_lat_cell": last[1], "location_lon_cell": last[2],
    }  # fmt: skip


def battery(rows: list[Event], start: datetime, hours: int) -> dict[str, Any]:
    samples = sorted((row["recorded_at"], row["battery_percent"] * 100) for row in rows)
    slots: dict[int, list[int]] = defaultdict(list)
    for at, value in samples:
        slots[(at - start) // HOUR].append(value)
    drain, before = 0, None
    for slot in sorted(slots):
        first, last = slots[slot][0], slots[slot][-1]
        drain += max(0, first - last) + (max(0, before - first) if before is not None else 0)
        before = last
    values = [value for _, value in samples]
    return {
        "battery_count": len(values), "battery_min_bp": min(values, default=0), "battery_max_bp": max(values, default=0),
        "battery_first_bp": values[0] if values else 0, "battery_last_bp": values[-1] if values else 0, "battery_drain_bp": drain,
        "battery_first_bp_by_hour": tuple(slots[hour][0] if hour in slots else -1 for hour in range(hours)),
        "battery_last_bp_by_hour": tuple(slots[hour][-1] if hour in slots else -1 for hour in range(hours)),
    }  # fmt: skip


def shown_contract(contracts: list[Contract], customer: int, prosthesis: int, day: tuple[datetime, datetime]) -> int:
    """Who owns changes only at contracts' borders: walk those within the day backwards to the last stretch of this customer's."""
    start, end = day
    borders = {at for c in contracts for at in (c[3], c[4]) if at is not None and start < at < end} | {start}
    for at in sorted(borders, reverse=True):
        holder = owner(contracts, prosthesis, at)
        if holder is not None and holder[1] == customer:
            return holder[0]
    raise AssertionError("a report without an owner within its day")

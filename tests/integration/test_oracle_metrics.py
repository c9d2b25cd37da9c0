"""The oracle's SQL on a real PostgreSQL, against numbers computed by hand from docs/metrics.md."""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterator
from datetime import date, timedelta

import psycopg
import pytest

from reconciliation.day_range import DayRange
from reconciliation.fields import FIELDS, Key
from tests.support.endpoints import PostgresEndpoint
from tests.support.oracle_cases import RECEIVED, Sources, micro, rolled_back, user, utc


@pytest.fixture
def db(sources: PostgresEndpoint) -> Iterator[Sources]:
    with rolled_back(sources) as databases:
        yield databases


def test_a_day_without_events_has_no_report(db: Sources) -> None:
    db.owned("UTC")
    assert db.reports() == {}


def test_every_metric_of_one_plain_day(db: Sources) -> None:
    db.owned("UTC")
    db.signal("2026-11-20 08:15Z", uv=0, recognised=False, ms=500)
    db.signal("2026-11-20 08:59:59.999999Z", uv=3, ms=1500)
    db.signal("2026-11-20 09:00Z", uv=1_000_000, ms=3_600_000)
    db.battery("2026-11-20 10:00Z", 80)
    db.error("2026-11-20 11:00Z", "E.1")
    db.error("2026-11-20 11:00Z", "E.1", "critical")
    db.error("2026-11-20 11:01Z", "x_2-Z", "info")
    db.location("2026-11-20 12:00Z", 55.7558, 37.6173)
    report = db.report("2026-11-20")
    usage = [0] * 24
    usage[8], usage[9] = 2000, 3_600_000
    histogram = [0] * 16
    histogram[0] = histogram[2] = histogram[15] = 1
    level = tuple(8000 if hour == 10 else -1 for hour in range(24))
    assert report == {
        "customer_id": "1", "customer_name": "Customer 1", "timezone": "UTC", "contract_id": "1", "contract_number": "K-1",
        "prosthesis_model": "Model 1", "prosthesis_serial_number": "SN-1",
        "day_starts_at": int(utc("2026-11-20").timestamp()), "day_ends_at": int(utc("2026-11-21").timestamp()),
        "event_count": 8, "first_event_at": micro(utc("2026-11-20 08:15")), "last_event_at": micro(utc("2026-11-20 12:00")),
        "usage_ms": 3_602_000, "usage_ms_by_hour": tuple(usage), "signal_count": 3, "recognised_count": 2,
        "amplitude_uv_sum": 1_000_003, "amplitude_uv_min": 0, "amplitude_uv_max": 1_000_000, "amplitude_histogram": tuple(histogram),
        "battery_count": 1, "battery_min_bp": 8000, "battery_max_bp": 8000, "battery_first_bp": 8000, "battery_last_bp": 8000,
        "battery_drain_bp": 0, "battery_first_bp_by_hour": level, "battery_last_bp_by_hour": level, "error_count": 3, "critical_error_count": 1, "errors_by_code": {"E.1": 2, "x_2-Z": 1},
        "location_lat_cell": 557, "location_lon_cell": 376,
    }  # fmt: skip
    assert set(report) == set(FIELDS)


def test_amounts_that_a_day_does_not_have_are_zero_and_the_location_is_null(db: Sources) -> None:
    db.owned("UTC")
    db.error("2026-11-20 11:00Z", "E1")
    report = db.report("2026-11-20")
    assert [report[name] for name in FIELDS if name.startswith(("amplitude_uv", "battery", "usage_ms"))].count(0) == 10
    assert (report["location_lat_cell"], report["location_lon_cell"]) == (None, None)
    assert report["usage_ms_by_hour"] == (0,) * 24
    assert report["battery_first_bp_by_hour"] == report["battery_last_bp_by_hour"] == (-1,) * 24
    assert report["amplitude_histogram"] == (0,) * 16


@pytest.mark.parametrize("amplitude", [0, 1, 2, 3, 4, 7, 8, 8191, 8192, 16383, 16384, 1_000_000])
def test_a_bucket_is_the_amplitudes_bit_length_up_to_15(db: Sources, amplitude: int) -> None:
    db.owned("UTC")
    db.signal("2026-11-20 11:00Z", uv=amplitude)
    histogram = db.report("2026-11-20")["amplitude_histogram"]
    assert isinstance(histogram, tuple)
    assert histogram.index(1) == min(15, amplitude.bit_length())


@pytest.mark.parametrize(
    ("zone", "day", "starts", "hours"),
    [
        ("Europe/Berlin", "2026-03-29", "2026-03-28 23:00", 23),
        ("Europe/Berlin", "2026-10-25", "2026-10-24 22:00", 25),
        ("Asia/Kolkata", "2026-11-20", "2026-11-19 18:30", 24),
        ("Australia/Lord_Howe", "2026-04-05", "2026-04-04 13:00", 24.5),
        ("Australia/Lord_Howe", "2025-10-05", "2025-10-04 13:30", 23.5),
        # Midnight does not exist: the day begins when the clocks have jumped over it.
        ("Africa/Cairo", "2026-04-24", "2026-04-23 22:00", 23),
        # Midnight comes twice: the day begins at the first.
        ("America/Havana", "2025-11-02", "2025-11-02 04:00", 25),
        ("America/Havana", "2025-11-01", "2025-11-01 04:00", 24),
        ("Nowhere/Special", "2026-11-20", "2026-11-20 00:00", 24),
        ("europe/berlin", "2026-11-20", "2026-11-20 00:00", 24),
        ("posix/Europe/Berlin", "2026-11-20", "2026-11-20 00:00", 24),
    ],
)
def test_a_days_instants_and_slots_are_the_zones(db: Sources, zone: str, day: str, starts: str, hours: float) -> None:
    db.owned(zone)
    start, length = utc(starts), timedelta(hours=hours)
    db.signal(start, ms=1)
    db.signal(start + length - timedelta(microseconds=1), ms=2)
    report = db.report(day)
    slots = -(-length // timedelta(hours=1))
    assert report["day_starts_at"] == int(start.timestamp())
    assert report["day_ends_at"] == int((start + length).timestamp())
    usage = report["usage_ms_by_hour"]
    assert isinstance(usage, tuple)
    assert (len(usage), usage[0], usage[-1]) == (slots, 1, 2)
    assert report["timezone"] == (zone if zone in zoneinfo.available_timezones() else "UTC")
    assert report["event_count"] == 2


def test_clocks_that_fall_back_over_midnight_do_not_split_the_day_that_has_begun(db: Sources) -> None:
    db.owned("America/St_Johns")
    # 2006-10-29 00:01 became 2006-10-28 23:01: the 29th had begun, one minute before.
    db.signal("2006-10-29 02:29:59.999999Z", ms=1)  # 23:59:59.999999, the first time
    db.signal("2006-10-29 02:30Z", ms=2)  # 00:00, the first time
    db.signal("2006-10-29 03:00Z", ms=4)  # 23:30, the second time
    found = {str(key.report_date): values[FIELDS.index("usage_ms")] for key, values in db.reports().items()}
    assert found == {"2006-10-28": 1, "2006-10-29": 6}


def test_an_activity_over_midnight_belongs_whole_to_the_hour_where_it_began(db: Sources) -> None:
    db.owned("Asia/Kolkata")
    db.signal("2026-11-20 18:29:59.999999Z", ms=3_600_000)  # 23:59:59.999999 local
    db.signal("2026-11-20 18:30Z", ms=5)  # 00:00 local, the next day
    first, second = db.report("2026-11-20")["usage_ms_by_hour"], db.report("2026-11-21")["usage_ms_by_hour"]
    assert isinstance(first, tuple)
    assert isinstance(second, tuple)
    assert (first[23], sum(first)) == (3_600_000, 3_600_000)
    assert (second[0], sum(second)) == (5, 5)


def test_drain_is_the_fall_within_slots_and_between_them(db: Sources) -> None:
    db.owned("UTC")
    for at, percent in (("08:00", 90), ("08:30", 95), ("08:59", 80), ("10:00", 75), ("10:30", 100), ("11:59", 99), ("23:00", 99)):
        db.battery(f"2026-11-20 {at}Z", percent)
    report = db.report("2026-11-20")
    # 90→80 within 8 h: 10; 80→75 to the next slot: 5; 75→100 charged: 0; 100→99: 1; 99→99: 0.
    assert report["battery_drain_bp"] == 1600
    assert (report["battery_first_bp"], report["battery_last_bp"]) == (9000, 9900)
    assert (report["battery_min_bp"], report["battery_max_bp"], report["battery_count"]) == (7500, 10_000, 7)
    by_hour = zip(report["battery_first_bp_by_hour"], report["battery_last_bp_by_hour"], strict=True)
    assert {hour: levels for hour, levels in enumerate(by_hour) if levels != (-1, -1)} == {
        8: (9000, 8000),
        10: (7500, 10_000),
        11: (9900, 9900),
        23: (9900, 9900),
    }


def test_ties_in_time_are_decided_by_the_value(db: Sources) -> None:
    db.owned("UTC")
    for percent in (50, 20, 80):
        db.battery("2026-11-20 08:00Z", percent)
    for latitude, longitude in ((10.0, 170.0), (10.05, -20.0), (-30.0, 179.0)):
        db.location("2026-11-20 08:00Z", latitude, longitude)
    report = db.report("2026-11-20")
    assert (report["battery_first_bp"], report["battery_last_bp"], report["battery_drain_bp"]) == (2000, 8000, 0)
    assert (report["location_lat_cell"], report["location_lon_cell"]) == (100, 1700)


@pytest.mark.parametrize(
    ("degrees", "cell"),
    [
        (0.0, 0),
        (-0.0, 0),
        (-0.0000001, 0),
        (-0.000001, -1),
        (0.0999994, 0),
        (0.0999996, 1),
        (-90.0, -900),
        (90.0, 900),
        (-0.1, -1),
        (-0.1000001, -1),
    ],
)
def test_a_cell_is_the_floor_of_microdegrees_rounded_half_to_even(db: Sources, degrees: float, cell: int) -> None:
    db.owned("UTC")
    db.location("2026-11-20 08:00Z", degrees, 180.0)
    report = db.report("2026-11-20")
    assert (report["location_lat_cell"], report["location_lon_cell"]) == (cell, 1800)


def test_many_error_codes_and_the_longest_are_counted_each(db: Sources) -> None:
    db.owned("UTC")
    codes = ["E" * 64, *(f"c{n}" for n in range(200))]
    for code in codes:
        db.error("2026-11-20 08:00Z", code)
    report = db.report("2026-11-20")
    assert report["errors_by_code"] == dict.fromkeys(codes, 1)
    assert report["error_count"] == 201


def test_rows_that_metrics_call_invalid_count_nowhere(db: Sources) -> None:
    db.owned("UTC")
    at = "2026-11-20 08:00Z"
    for uv, recognised, ms in (
        (-1, True, 0),
        (1_000_001, True, 0),
        (1, None, 0),
        (1, True, -1),
        (1, True, 3_600_001),
        (None, True, 1),
        (1, True, None),
    ):
        db.signal(at, uv=uv, recognised=recognised, ms=ms)
    for percent in (-1, 101, None):
        db.battery(at, percent)
    for code in ("", "E" * 65, "a b", "é", "E1\n", None):
        db.error(at, code)
    db.error(at, "E1", "fatal")
    db.error(at, "E1", None)
    for latitude, longitude in (
        (90.0000001, 0.0),
        (0.0, -180.1),
        (float("nan"), 0.0),
        (0.0, float("inf")),
        (1e300, 0.0),
        (None, 0.0),
        (0.0, None),
    ):
        db.location(at, latitude, longitude)
    db.event(at, None)
    db.event(at, "Signal", amplitude_uv=1, movement_recognised=True, active_ms=1)
    for time in (None, "infinity", "-infinity", "1999-12-31 23:59:59.999999Z", "0044-03-15 12:00Z BC", "99999-01-01Z"):
        db.signal(time)
    assert db.reports() == {}
    db.signal(at)
    assert db.report("2026-11-20")["event_count"] == 1


def test_whatever_a_row_carries_must_be_in_range_also_in_columns_of_another_kind(db: Sources) -> None:
    db.owned("UTC")
    for column in (
        {"battery_percent": 101},
        {"error_code": ""},
        {"error_severity": "fatal"},
        {"latitude": 91.0},
        {"longitude": float("nan")},
    ):
        db.signal("2026-11-20 08:00Z", **column)
    db.battery("2026-11-20 08:00Z", 50, amplitude_uv=-1)
    assert db.reports() == {}


def test_what_a_row_carries_beside_its_kind_counts_nowhere(db: Sources) -> None:
    db.owned("UTC")
    db.signal("2026-11-20 08:00Z", battery_percent=5, error_code="E1", error_severity="critical", latitude=1.0, longitude=1.0)
    report = db.report("2026-11-20")
    assert (report["event_count"], report["battery_count"], report["error_count"], report["location_lat_cell"]) == (1, 0, 0, None)
    assert (report["critical_error_count"], report["errors_by_code"]) == (0, {})


def test_an_event_is_valid_until_24_hours_after_it_was_received(db: Sources) -> None:
    db.owned("UTC")
    limit = RECEIVED + timedelta(hours=24)
    db.signal(limit)
    db.signal(limit + timedelta(microseconds=1))
    assert [(key.report_date, values[FIELDS.index("event_count")]) for key, values in db.reports().items()] == [(limit.date(), 1)]


def test_the_first_valid_instant_is_the_year_2000(db: Sources) -> None:
    db.customer(1)
    db.prosthesis(1)
    db.contract(1, 1, 1, "-infinity", "infinity")
    db.signal("2000-01-01 00:00Z")
    assert [key.report_date for key in db.reports()] == [date(2000, 1, 1)]


def test_a_day_of_two_owners_is_two_reports_each_with_its_own_time(db: Sources) -> None:
    db.customer(1, "Europe/Berlin")
    db.customer(2, "Asia/Kolkata")
    db.prosthesis(1)
    handover = utc("2026-11-20 12:00")
    db.contract(1, 1, 1, utc("2026-01-01"), handover)
    db.contract(2, 2, 1, handover)
    db.signal(handover - timedelta(microseconds=1), ms=1)
    db.signal(handover, ms=2)
    db.signal("2026-11-20 22:00Z", ms=4)  # 23:00 in Berlin, 03:30 the next day in Kolkata
    found = {(key.user_id, str(key.report_date)): values[FIELDS.index("usage_ms")] for key, values in db.reports().items()}
    assert found == {(user(1), "2026-11-20"): 1, (user(2), "2026-11-20"): 2, (user(2), "2026-11-21"): 4}


def test_overlaps_belong_to_the_later_beginning_then_to_the_higher_id(db: Sources) -> None:
    for customer in (1, 2, 3, 4):
        db.customer(customer)
    db.prosthesis(1)
    day = utc("2026-11-20")
    db.contract(10, 1, 1, day)
    db.contract(11, 2, 1, day + timedelta(hours=4), day + timedelta(hours=8))
    db.contract(13, 3, 1, day + timedelta(hours=10), day + timedelta(hours=12))
    db.contract(12, 4, 1, day + timedelta(hours=10), day + timedelta(hours=14))
    for hour in range(22):
        db.signal(day + timedelta(hours=hour), ms=1 << hour)
    found = {key.user_id: values[FIELDS.index("usage_ms")] for key, values in db.reports().items()}
    hours = {1: [*range(4), 8, 9, *range(14, 22)], 2: range(4, 8), 3: [10, 11], 4: [12, 13]}
    assert found == {user(customer): sum(1 << hour for hour in owned) for customer, owned in hours.items()}


def test_a_contract_that_ends_before_it_begins_owns_nothing(db: Sources) -> None:
    db.owned("UTC")
    db.customer(2)
    at = utc("2026-11-20 08:00")
    db.contract(7, 2, 1, at, at)
    db.contract(8, 2, 1, at, at - timedelta(days=1))
    db.signal(at)
    assert {key.user_id for key in db.reports()} == {user(1)}


def test_the_contract_shown_is_the_users_last_effective_one_that_meets_the_day(db: Sources) -> None:
    db.customer(1)
    db.prosthesis(1)
    day = utc("2026-11-20")
    db.contract(1, 1, 1, day - timedelta(days=9))
    db.contract(2, 1, 1, day + timedelta(hours=6), day + timedelta(hours=8))  # afterwards contract 1 owns again, from 8 h
    db.signal(day)
    db.contract(3, 1, 1, day + timedelta(hours=24))
    assert db.report("2026-11-20")["contract_id"] == "1"
    db.crm.execute("UPDATE crm.contracts SET ends_at = NULL WHERE contract_id = 2")
    assert db.report("2026-11-20")["contract_number"] == "K-2"


def test_an_event_nobody_owns_is_in_no_report_and_counted_as_waiting(db: Sources) -> None:
    db.owned("UTC")
    db.signal("2026-11-20 08:00Z")
    db.signal("2026-11-20 08:00Z", prosthesis=99)
    db.signal("2000-11-20 08:00Z")
    assert len(db.reports()) == 1
    intervals = db.oracle.intervals(db.crm)
    assert db.oracle.unowned(db.telemetry, intervals, DayRange(date(2000, 1, 1), date(2026, 12, 31))) == 2
    assert db.oracle.unowned(db.telemetry, intervals, DayRange(date(2026, 1, 1), date(2026, 12, 31))) == 1


def test_a_restricted_question_has_the_same_answer_as_the_whole_one(db: Sources) -> None:
    db.owned("Pacific/Kiritimati")
    db.owned("Pacific/Pago_Pago", prosthesis=2, customer=2)
    for hour in range(0, 96, 3):
        for prosthesis in (1, 2):
            db.signal(utc("2026-11-18") + timedelta(hours=hour), ms=hour * hour, prosthesis=prosthesis)
    whole = db.reports()
    days = DayRange(date(2026, 11, 19), date(2026, 11, 20))
    intervals = db.oracle.intervals(db.crm, ["2"])
    wanted = {key: values for key, values in whole.items() if key.prosthesis_id == "2" and days.first <= key.report_date <= days.last}
    assert db.oracle.reports(db.telemetry, intervals, days, ["2"]) == wanted
    assert set(wanted) == {Key(user(2), date(2026, 11, day), "2") for day in (19, 20)}


def test_the_account_of_verify_may_ask_everything(db: Sources, sources: PostgresEndpoint) -> None:
    with (
        psycopg.connect(**sources.conninfo("crm", "auditor")) as crm,
        psycopg.connect(**sources.conninfo("telemetry", "auditor")) as telemetry,
    ):
        intervals = db.oracle.intervals(crm)
        days = DayRange(date(2026, 11, 19), date(2026, 11, 20))
        assert isinstance(db.oracle.reports(telemetry, intervals, days), dict)
        assert isinstance(db.oracle.event_days(telemetry), dict)

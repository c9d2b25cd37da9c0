"""Reports, summaries, pages and tags from mart rows: the pure part of the reports service."""

from __future__ import annotations

import csv
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports_api import domain, error_texts, etags, paging
from reports_api.examples import ROW, WATERMARKS
from reports_api.export_csv import render
from reports_api.locales import LOCALES
from reports_api.pdf_lines import Wording, error_lines, figures, foot, identity
from reports_api.prostheses import prostheses
from reports_api.summary import DayRange, summary
from schemas.reader_views import OwnershipRow

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SAY = Wording.of("en", error_texts.read())
HANDLED = {7: NOW + timedelta(days=365 * 200)}
"""A partition that is handled beyond every day: each is complete."""
DAYS = st.dates(date(2000, 1, 1), date(2199, 12, 31))


def test_what_was_never_measured_is_null_and_not_zero() -> None:
    bare = ROW._replace(signal_count=0, recognised_count=0, battery_count=0, location_lat_cell=None, location_lon_cell=None)
    report = domain.daily_report(bare, None)
    assert (report.signals.efficiency, report.signals.amplitude_uv, report.battery, report.location) == (None, None, None, None)
    assert report.complete is False


def test_cells_south_and_west_are_below_zero() -> None:
    location = domain.daily_report(ROW._replace(location_lat_cell=-339, location_lon_cell=-1), None).location
    assert location is not None
    assert (location.latitude, location.longitude) == (-33.9, -0.1)


def test_as_of_is_the_least_of_the_partitions_and_none_where_one_is_unknown() -> None:
    watermarks = {1: NOW, 2: NOW - timedelta(hours=1)}
    assert domain.as_of_partitions([1, 2], watermarks) == NOW - timedelta(hours=1)
    assert domain.as_of_partitions([1], watermarks) == NOW
    assert domain.as_of_partitions([1, 3], watermarks) is None
    assert domain.as_of_partitions([], watermarks) is None


def test_a_source_clock_ahead_of_ours_is_fresh_and_not_negative() -> None:
    assert domain.freshness_ms(NOW + timedelta(seconds=1), NOW) == 0
    assert domain.freshness_ms(NOW - timedelta(milliseconds=1500), NOW) == 1500


@pytest.mark.parametrize("name", ["", "Mars/Olympus", "../../etc/passwd", "/etc/localtime", "x" * 5000, "Europe"])
def test_an_unknown_time_zone_is_utc(name: str) -> None:
    assert domain.local_date(datetime(2026, 11, 23, 23, 59, tzinfo=UTC), name) == date(2026, 11, 23)


@given(
    st.integers(0, 7_000_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
    st.sampled_from(["Pacific/Kiritimati", "Pacific/Niue", "Asia/Kathmandu", "UTC"]),
)
def test_every_local_date_of_now_is_among_the_possible_ones(now: datetime, name: str) -> None:
    first, last = domain.possible_dates(now)
    assert first <= domain.local_date(now, name) <= last


def test_today_takes_the_zone_of_the_row_that_changed_last() -> None:
    rows = [
        ROW._replace(report_date=date(2026, 11, 24), timezone="Pacific/Auckland", version=9),
        ROW._replace(report_date=date(2026, 11, 23), timezone="Europe/Moscow", version=8),
    ]
    body = domain.today("u", rows, WATERMARKS, NOW)
    assert (body.report_date, [item.report_date for item in body.items]) == (date(2026, 11, 24), [date(2026, 11, 24)])


def test_averages_are_over_days_with_data_and_ratios_over_sums() -> None:
    days = DayRange(date(2026, 11, 17), date(2026, 11, 23))
    rows = [
        ROW._replace(
            report_date=date(2026, 11, 23), prosthesis_id="1", usage_ms=100, signal_count=1, recognised_count=1, amplitude_uv_sum=10
        ),
        ROW._replace(
            report_date=date(2026, 11, 23), prosthesis_id="2", usage_ms=200, signal_count=9, recognised_count=0, amplitude_uv_sum=90
        ),
        ROW._replace(
            report_date=date(2026, 11, 20), usage_ms=300, signal_count=0, recognised_count=0, amplitude_uv_sum=0, amplitude_uv_min=0
        ),
    ]
    body = summary("u", days, rows, HANDLED, NOW)
    assert (body.current.days_with_data, body.current.usage.mean_ms_per_day) == (2, 300.0)
    assert body.current.signals.efficiency == 0.1
    amplitude = body.current.signals.amplitude_uv
    assert amplitude is not None
    assert (amplitude.mean, amplitude.min) == (10.0, 35)
    assert (body.previous.days_with_data, body.previous.usage.mean_ms_per_day, body.previous.battery_by_prosthesis) == (0, None, {})
    assert (body.change.usage_per_day_ratio, body.change.errors_per_day_difference) == (None, None)


def test_means_and_changes_are_of_complete_days_and_totals_of_all() -> None:
    days = DayRange(date(2026, 11, 17), date(2026, 11, 23))
    ends = datetime(2026, 11, 23, 21, tzinfo=UTC)
    of_yesterday = {"report_date": date(2026, 11, 22), "day_ends_at": ends - timedelta(days=1)}
    rows = [
        ROW._replace(usage_ms=50, error_count=9, battery_drain_bp=100, day_ends_at=ends),
        ROW._replace(**of_yesterday, usage_ms=300, error_count=2, battery_drain_bp=3_000, signal_count=10, recognised_count=5),
        ROW._replace(
            **of_yesterday | {"report_date": date(2026, 11, 16)}, usage_ms=200, error_count=1, battery_drain_bp=2_000, signal_count=10,
            recognised_count=4,
        ),
    ]  # fmt: skip
    body = summary("u", days, rows, {7: ends - timedelta(hours=1)}, NOW)
    assert (body.current.days_with_data, body.current.complete_days, body.current.complete) == (2, 1, False)
    assert (body.current.usage.total_ms, body.current.usage.mean_ms_per_day) == (350, 300.0)
    assert (body.current.errors.count, body.current.errors_per_day, body.change.errors_per_day_difference) == (11, 2.0, 1.0)
    battery = body.current.battery_by_prosthesis["17"]
    assert (battery.drain_percent, battery.mean_drain_percent_per_day) == (31.0, 30.0)
    assert (body.change.usage_per_day_ratio, body.change.drain_per_day_ratio_by_prosthesis) == (0.5, {"17": 0.5})
    assert body.change.efficiency_difference == pytest.approx(0.1)


def test_a_day_of_two_prostheses_is_complete_when_both_are() -> None:
    days = DayRange(date(2026, 11, 23), date(2026, 11, 23))
    rows = [ROW, ROW._replace(prosthesis_id="18", log_partition=8)]
    until = ROW.day_ends_at
    one = summary("u", days, rows, {7: until, 8: until - timedelta(seconds=1)}, NOW).current
    assert (one.complete_days, one.usage.mean_ms_per_day, one.battery_by_prosthesis["17"].mean_drain_percent_per_day) == (0, None, None)
    assert summary("u", days, rows, {7: until, 8: until}, NOW).current.usage.mean_ms_per_day == 2 * ROW.usage_ms


def test_the_battery_of_a_day_is_told_by_the_hours_that_have_a_sample() -> None:
    first, last = [-1] * 24, [-1] * 24
    first[8], last[8], first[0], last[0] = 9_000, 8_950, 0, 10_000
    battery = domain.daily_report(ROW._replace(battery_first_bp_by_hour=first, battery_last_bp_by_hour=last), None).battery
    assert battery is not None
    assert [((hour.starts_at - ROW.day_starts_at) // domain.HOUR, hour.first_percent, hour.last_percent) for hour in battery.by_hour] == [
        (0, 0.0, 100.0),
        (8, 90.0, 89.5),
    ]


def test_where_today_has_no_report_the_latest_day_is_told() -> None:
    now = datetime(2026, 11, 25, 12, tzinfo=UTC)
    before = [ROW, ROW._replace(prosthesis_id="18")]
    body = domain.today("u", [], WATERMARKS, now, before=before)
    assert (body.items, [report.prosthesis_id for report in body.last_known], body.timezone) == ([], ["17", "18"], "Europe/Moscow")
    around = [ROW._replace(report_date=date(2026, 11, 24))]
    assert [report.report_date for report in domain.today("u", around, WATERMARKS, now).last_known] == [date(2026, 11, 24)]
    assert domain.today("u", [ROW._replace(report_date=date(2026, 11, 25))], WATERMARKS, now).last_known == []
    assert domain.today("u", [], WATERMARKS, now, zone_before="Asia/Tokyo").timezone == "Asia/Tokyo"


def owned(starts: datetime, ends: datetime | None, contract: str, prosthesis: str = "17") -> OwnershipRow:
    until = None if ends is None else round(ends.timestamp() * 1_000_000)
    return OwnershipRow("u", prosthesis, "M", f"SN-{prosthesis}", round(starts.timestamp() * 1_000_000), until, contract, "Europe/Moscow")


def test_a_renewed_contract_is_no_new_prosthesis_and_a_gap_is() -> None:
    years = [datetime(year, 1, 1, tzinfo=UTC) for year in range(2020, 2030)]
    rows = [
        owned(years[5], None, "C"),
        owned(years[0], years[2], "A"),
        owned(years[3], years[5], "B"),
        owned(years[1], years[4], "D", "18"),
    ]
    body = prostheses("u", rows, {"17": date(2026, 11, 22)}, NOW)
    (now, before) = body.items
    assert (now.prosthesis_id, now.current, now.since, now.until) == ("17", True, years[3], None)
    assert [period.contract_number for period in now.periods] == ["A", "B", "C"]
    assert (before.prosthesis_id, before.current, before.since, before.until) == ("18", False, years[1], years[4])
    assert (now.last_report_date, before.last_report_date) == (date(2026, 11, 22), None)


def test_what_is_owned_since_before_anything_was_measured_has_no_beginning() -> None:
    row = owned(NOW, None, "A")._replace(starts_us=-(1 << 62), ends_us=(1 << 62), timezone="europe/moscow")
    body = prostheses("u", [row], {}, NOW)
    assert (body.items[0].since, body.items[0].until, body.items[0].current, body.timezone) == (None, None, True, "UTC")


def test_drain_is_told_for_each_prosthesis_and_never_summed_over_them() -> None:
    days = DayRange(date(2026, 11, 17), date(2026, 11, 23))
    rows = [
        ROW._replace(prosthesis_id="1", battery_count=9, battery_drain_bp=5_000, battery_min_bp=4_000, battery_max_bp=9_000),
        ROW._replace(prosthesis_id="2", battery_count=9, battery_drain_bp=11_000, battery_min_bp=100, battery_max_bp=10_000),
        ROW._replace(prosthesis_id="2", report_date=date(2026, 11, 22), battery_count=9, battery_drain_bp=1_000),
        ROW._replace(prosthesis_id="2", report_date=date(2026, 11, 21), battery_count=0, battery_drain_bp=0),
        ROW._replace(prosthesis_id="2", report_date=date(2026, 11, 15), battery_count=9, battery_drain_bp=3_000),
    ]
    body = summary("u", days, rows, HANDLED, NOW)
    one, two = body.current.battery_by_prosthesis["1"], body.current.battery_by_prosthesis["2"]
    assert (one.drain_percent, one.mean_drain_percent_per_day, one.min_percent) == (50.0, 50.0, 40.0)
    assert (two.drain_percent, two.mean_drain_percent_per_day, two.min_percent) == (120.0, 60.0, 1.0)
    assert body.change.drain_per_day_ratio_by_prosthesis == {"2": 1.0}
    lines = [line for line in figures(body, SAY, {"1": "BH-1", "2": "BH-2"}) if "drain" in line[0]]
    assert [(line[0][-4:], line[1][:6], line[3]) for line in lines] == [
        ("BH-1", "50.0\u00a0%", "–"),
        ("BH-2", "60.0\u00a0%", "+100.0\u00a0%"),
    ]


NBSP, MINUS = "\u00a0", "\u2212"


def test_print_writes_numbers_days_and_moments_as_its_language_does() -> None:
    english, russian = LOCALES["en"], LOCALES["ru"]
    assert (english.number(-1234.56, 1), russian.number(-1234.56, 1)) == (f"{MINUS}1,234.6", f"{MINUS}1{NBSP}234,6")
    assert [russian.number(value, 1, signed=True) for value in (0.04, -0.04, 0.06, -0.06)] == ["0,0", "0,0", "+0,1", f"{MINUS}0,1"]
    assert russian.percent(8.86, 1, signed=True) == f"+8,9{NBSP}%"
    assert (english.day(date(2026, 3, 1)), russian.day(date(2026, 3, 1))) == (f"1{NBSP}Mar{NBSP}2026", "01.03.2026")
    assert russian.moment(datetime(2026, 11, 23, 22, 5, tzinfo=UTC), "Europe/Moscow") == f"24.11.2026{NBSP}01:05"


def test_the_printed_page_names_all_contracts_and_says_times_by_the_wearers_clock() -> None:
    rows = [ROW, ROW._replace(contract_number="BP-2025-3"), ROW._replace(contract_number="")]
    body = summary("u", DayRange(ROW.report_date, ROW.report_date), rows, {7: datetime(2026, 11, 23, 22, tzinfo=UTC)}, NOW)
    assert dict(identity(rows, body, SAY))["Contracts"] == "BP-2026-0017, BP-2025-3"
    first = foot(rows, body, "now", SAY)[0]
    assert f"24{NBSP}Nov{NBSP}2026{NBSP}01:00" in first
    assert "Europe/Moscow" in first


def test_errors_are_printed_in_words_with_their_number_first_so_that_a_long_text_cannot_hide_it() -> None:
    codes = {"MOTOR_STALL": 1200, "NEVER_HEARD_OF": 3} | {f"C{i:02d}": 1 for i in range(12)}
    row = ROW._replace(errors_by_code=codes)
    body = summary("u", DayRange(ROW.report_date, ROW.report_date), [row], HANDLED, NOW)
    lines = error_lines(body, SAY)
    assert lines[:2] == ["1,200 × Motor blocked (MOTOR_STALL)", "3 × Code NEVER_HEARD_OF"]
    assert (len(lines), lines[-1]) == (10, "and 5 more")


def test_a_table_for_a_decimal_comma_has_semicolons_between_its_cells_and_the_same_values() -> None:
    row = ROW._replace(battery_count=3, battery_drain_bp=4_250, customer_name="Weber; Lukas, Dr.")
    point, comma = (render([row], WATERMARKS, decimal).decode("utf-8-sig").splitlines() for decimal in ("point", "comma"))
    (plain,), (local,) = csv.DictReader(point), csv.DictReader(comma, delimiter=";")
    assert (plain["battery_drain_percent"], local["battery_drain_percent"]) == ("42.5", "42,5")
    assert local["customer_name"] == plain["customer_name"] == "Weber; Lukas, Dr."
    assert {name: value.replace(",", ".") for name, value in local.items()} == {
        name: value.replace(",", ".") for name, value in plain.items()
    }


@given(DAYS, st.integers(0, 400))
def test_the_range_before_adjoins_and_is_as_long(first: date, more: int) -> None:
    days = DayRange(first, first + timedelta(days=more))
    before = days.before()
    assert before.days == days.days
    assert before.last + timedelta(days=1) == days.first


@given(DAYS, st.integers(0, 366), st.integers(1, 100))
def test_windows_cover_every_day_once_newest_first_and_few(first: date, more: int, limit: int) -> None:
    last = first + timedelta(days=more)
    found = list(paging.windows(first, last, limit))
    days = [end - timedelta(days=i) for start, end in found for i in range((end - start).days + 1)]
    assert days == [last - timedelta(days=i) for i in range(more + 1)]
    assert len(found) <= 4
    assert (found[0][1] - found[0][0]).days < max(paging.FIRST_WINDOW_DAYS, limit + 1)


def test_an_empty_range_has_no_windows() -> None:
    assert list(paging.windows(date(2026, 1, 2), date(2026, 1, 1), 10)) == []


@given(DAYS, st.text(max_size=30))
def test_a_cursor_comes_back_as_it_was(day: date, prosthesis_id: str) -> None:
    cursor = paging.Cursor(day, prosthesis_id)
    assert paging.decode(paging.encode(cursor)) == cursor


@given(st.text(max_size=300))
def test_any_other_text_is_no_cursor(text: str) -> None:
    try:
        cursor = paging.decode(text)
    except ValueError:
        return
    assert paging.encode(cursor) == text


@given(
    st.lists(st.tuples(st.text("0123456789", min_size=1, max_size=4), st.integers(0, 9)), max_size=4),
    st.lists(st.tuples(st.text("0123456789", min_size=1, max_size=4), st.integers(0, 9)), max_size=4),
)
def test_event_ids_are_equal_only_for_the_same_versions(one: list[tuple[str, int]], other: list[tuple[str, int]]) -> None:
    day = date(2026, 11, 23)
    assert (etags.event_id(day, one) == etags.event_id(day, other)) == (sorted(one) == sorted(other))


def test_an_etag_changes_with_completeness_and_scope_and_not_with_time() -> None:
    earlier, later = domain.daily_report(ROW, NOW), domain.daily_report(ROW, NOW + timedelta(hours=1))
    complete = domain.daily_report(ROW, ROW.day_ends_at)
    assert etags.of_reports("s", [earlier]) == etags.of_reports("s", [later])
    assert len({etags.of_reports("s", [earlier]), etags.of_reports("s", [complete]), etags.of_reports("t", [earlier])}) == 3


@pytest.mark.parametrize(
    ("header", "expected"), [(None, False), ('W/"a"', True), ('"a"', True), ('"b", W/"a"', True), ("*", True), ('"b"', False), ("", False)]
)
def test_if_none_match_is_compared_weakly(header: str | None, expected: bool) -> None:
    assert etags.matches(header, 'W/"a"') is expected

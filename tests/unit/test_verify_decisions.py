"""What verify decides without servers: windows, rows in motion, barriers that are late, the verdict, raw differences, the repair's commands."""

from __future__ import annotations

import time
from datetime import date, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciliation.barrier import BarrierError, await_handled
from reconciliation.commands import signal
from reconciliation.compare import Comparison, Difference, compare
from reconciliation.day_range import DayRange
from reconciliation.directory import differing_anywhere
from reconciliation.fields import FIELDS, Key, Value
from reconciliation.mart import Position
from reconciliation.raw import EventKey, RawDifference, RawEvent, compare_raw, event_key, settled, source_id
from reconciliation.repair import IDS_PER_DELETE, Plan, deletes, recomputes
from reconciliation.verification import Verification
from reconciliation.verify import NOTHING, is_unmoved
from reconciliation.windows import days_with_data, windows
from schemas.commands import Delete, Recompute, decode_command, encode_command
from schemas.mapping import SourceMapping
from schemas.ownership import Ownership, OwnershipDocument
from schemas.ranges import EARLIEST_US

DAY = date(2026, 11, 20)
KEY = Key("u", DAY, "1")
ROW: tuple[Value, ...] = (0,) * len(FIELDS)


def days(first: int, last: int) -> DayRange:
    return DayRange(DAY + timedelta(days=first), DAY + timedelta(days=last))


def verdict(found: Comparison, unverified: Comparison = NOTHING, allow: bool = False) -> bool:
    return Verification("g", days(0, 0), 1, found, unverified, 0, 0.0, allow).ok


def dates(*numbers: int) -> list[date]:
    return [DAY + timedelta(days=n) for n in numbers]


@settings(max_examples=300)
@given(
    found=st.dictionaries(st.integers(-20_000, 20_000), st.integers(0, 200), max_size=40),
    near=st.dictionaries(st.integers(-20, 20), st.integers(0, 200), max_size=40),
    most_events=st.integers(1, 300),
    most_days=st.integers(1, 50),
)
def test_windows_hold_every_day_with_data_once_within_their_bounds(
    found: dict[int, int], near: dict[int, int], most_events: int, most_days: int
) -> None:
    events = {DAY + timedelta(days=n): count for n, count in (found | near).items()}
    among = sorted(events)
    cut = list(windows(among, events, most_events, most_days))
    held = [[day for day in among if window.first <= day <= window.last] for window in cut]
    assert [day for of_window in held for day in of_window] == among
    for window, of_window in zip(cut, held, strict=True):
        assert (window.first, window.last) == (of_window[0], of_window[-1])
        assert (window.last - window.first).days < most_days
        assert len(of_window) == 1 or sum(events[day] for day in of_window) <= most_events
    # No two could have been one.
    for one, other in pairwise(held):
        assert (other[0] - one[0]).days >= most_days or sum(events[day] for day in one) + events[other[0]] > most_events


def test_a_clock_that_once_stood_at_2001_costs_one_window() -> None:
    among = [date(2001, 1, 1), *dates(*range(-91, 1))]
    assert list(windows(among, {}, most_events=100, most_days=92)) == [DayRange(among[0], among[0]), days(-91, 0)]


@pytest.mark.parametrize(
    ("events", "mart", "first", "last", "wanted"),
    [
        ({}, (), None, None, ()),
        ({DAY: 1}, (), None, None, (-1, 0, 1)),
        ({}, (-5, 5), None, None, (-5, 5)),
        ({DAY: 1}, (1, 4, 5), None, None, (-1, 0, 1, 4, 5)),
        ({DAY: 1}, (-9, 4, 5), DAY, DAY + timedelta(days=4), (0, 1, 4)),
        ({DAY: 1}, (), DAY + timedelta(days=9), None, ()),
    ],
)
def test_the_days_compared_are_those_that_either_side_has(
    events: dict[date, int], mart: tuple[int, ...], first: date | None, last: date | None, wanted: tuple[int, ...]
) -> None:
    assert days_with_data(events, dates(*mart), first, last) == dates(*wanted)


def test_a_row_has_moved_if_its_version_is_above_the_earlier_barrier_of_its_partition() -> None:
    previous, ends = {3: 100, 4: 500}, {3: 900, 4: 900, 5: 900}
    assert is_unmoved(Position(3, 100), previous, ends)
    assert not is_unmoved(Position(3, 101), previous, ends)
    assert is_unmoved(Position(4, 101), previous, ends)
    assert not is_unmoved(Position(5, 0), previous, ends)
    assert is_unmoved(None, previous, ends)


def test_a_version_that_the_log_has_not_reached_is_no_movement() -> None:
    assert not is_unmoved(Position(3, 899), {3: 100}, {3: 900})
    assert is_unmoved(Position(3, 900), {3: 100}, {3: 900})
    assert is_unmoved(Position(99, 1), {3: 100}, {3: 900})


def test_a_late_barrier_names_the_partitions_behind() -> None:
    reached = {0: 10, 1: 9}
    with pytest.raises(BarrierError, match=r"prosthesis\.log, partitions 1 \(handled 9, barrier 10\), 2 \(handled nothing, barrier 10\)"):
        await_handled("prosthesis.log", dict.fromkeys(range(3), 10), lambda _: reached, time.monotonic() - 1)


def test_a_barrier_is_passed_when_every_partition_reached_it() -> None:
    looks = iter([{0: 1}, {0: 10}, {0: 10, 1: 11}])
    await_handled("t", {0: 10, 1: 10}, lambda _: next(looks), time.monotonic() + 60)
    assert next(looks, None) is None


def test_a_barrier_is_waited_for_as_long_as_the_processor_comes_nearer() -> None:
    looks = iter([{0: at} for at in range(1, 11)])
    await_handled("t", {0: 10}, lambda _: next(looks), time.monotonic() + 0.01, patience_s=60)
    assert next(looks, None) is None


def test_the_verdict_is_good_only_if_something_was_compared_and_all_of_it_is_equal() -> None:
    equal = compare([(KEY, ROW)], [(KEY, ROW)])
    assert verdict(equal)
    assert not verdict(NOTHING)
    assert not verdict(Comparison(1, 31, (Difference(KEY, "usage_ms", 1, 2),), (), ()))
    assert not verdict(compare([(KEY, ROW)], []))
    assert not verdict(compare([], [(KEY, ROW)]))


def test_unverified_rows_fail_unless_a_setting_allows_them_and_something_else_was_equal() -> None:
    other = Key("u", DAY, "2")
    equal = compare([(KEY, ROW), (other, ROW)], [(KEY, ROW), (other, ROW)])
    moving = compare([(KEY, ROW)], [])
    assert not verdict(equal, moving)
    assert verdict(equal, moving, allow=True)
    assert not verdict(compare([(KEY, ROW)], [(KEY, ROW)]), moving, allow=True)


def test_json_names_each_field_with_count_and_examples() -> None:
    keys = [Key("u", DAY, str(n)) for n in range(9)]
    found = Comparison(9, 99, tuple(Difference(key, "usage_ms_by_hour", (1, 2), (1, 3)) for key in keys), (), ())
    body = Verification("g", days(0, 1), 3, found, NOTHING, 4, 1.0).as_json()
    assert (body["differences"]["usage_ms_by_hour"]["rows"], body["differences"]["usage_ms_by_hour"]["more"]) == (9, 4)
    example = {"user_id": "u", "report_date": "2026-11-20", "prosthesis_id": "0", "expected": [1, 2], "actual": [1, 3]}
    assert body["differences"]["usage_ms_by_hour"]["examples"][0] == example
    assert (body["ok"], body["waiting_for_owner"], body["from"], body["to"]) == (False, 4, "2026-11-20", "2026-11-21")


def test_json_names_a_few_reports_that_are_missing_or_surplus_and_how_many_more() -> None:
    keys = tuple(Key("u", DAY + timedelta(days=n), "1") for n in range(12))
    document = Verification("g", None, 1, Comparison(12, 12, (), keys, keys[:1]), NOTHING, 0, 0.0).as_json()
    assert (document["missing"]["rows"], len(document["missing"]["examples"]), document["missing"]["more"]) == (12, 5, 7)
    assert document["surplus"] == {
        "rows": 1,
        "examples": [{"user_id": "u", "report_date": str(DAY), "prosthesis_id": "1"}],
        "more": 0,
    }


def test_ownership_differs_where_it_is_unlike_the_crm_s_absent_or_of_nobody_there() -> None:
    def interval(prosthesis_id: str, name: str = "N") -> dict[str, Any]:
        own = Ownership(EARLIEST_US, None, "u", "7", name, "UTC", "5", "K")
        return {**msgspec.structs.asdict(own), "prosthesis_id": prosthesis_id, "prosthesis_model": "M", "prosthesis_serial_number": "S"}

    def document(prosthesis_id: str, *intervals: Ownership) -> OwnershipDocument:
        return OwnershipDocument(prosthesis_id, 1, "M", "S", intervals)

    same = Ownership(0, None, "u", "7", "N", "UTC", "5", "K")
    documents = [document("equal", same), document("renamed", same), document("ended", same), document("nobodys")]
    said = [interval("equal"), interval("renamed", "Another"), interval("absent")]
    assert differing_anywhere(documents, said) == {"renamed", "ended", "absent"}


def test_event_ids_pass_through_the_raw_tables_halves_unchanged() -> None:
    text = "0198c0de-0000-7000-8000-00000000002a"
    assert source_id(event_key("1", "18446744073709551"), "integer") == "18446744073709551"
    assert source_id(event_key("1", text), "uuid") == text
    assert event_key("1", text)[1:] == (UUID(text).int >> 64, UUID(text).int & (2**64 - 1))


def test_raw_differences_leave_rows_in_motion_alone() -> None:
    source = {EventKey("1", 0, n): (n,) for n in (1, 2, 3, 4)}
    raw = {
        EventKey("1", 0, 1): RawEvent((1,), Position(0, 5)),
        EventKey("1", 0, 2): RawEvent((99,), Position(0, 5)),
        EventKey("1", 0, 3): RawEvent((99,), Position(0, 11)),
        EventKey("1", 0, 8): RawEvent((8,), Position(0, 10)),
        EventKey("1", 0, 9): RawEvent((9,), Position(0, 11)),
    }
    found = compare_raw(source, raw, {0: 10})
    assert (found.missing, found.different, found.surplus) == (
        {EventKey("1", 0, 4): (4,)}, {EventKey("1", 0, 2): (2,)}, {EventKey("1", 0, 8): (8,)},
    )  # fmt: skip


def test_an_event_under_another_time_on_the_other_side_is_different_not_surplus() -> None:
    one, two, three = EventKey("1", 0, 1), EventKey("1", 0, 2), EventKey("1", 0, 3)
    found = RawDifference({one: (1,), three: (3,)}, {}, {two: (2,)})
    corrected = settled(found, {two: (20,)}, {one: (10,), three: (3,)})
    assert corrected == RawDifference({}, {one: (1,), two: (20,)}, {})


def test_deletes_are_bounded_and_commands_survive_their_encoding() -> None:
    commands = deletes([EventKey("2", 0, n) for n in range(IDS_PER_DELETE + 1)] + [EventKey("1", 7, 8)], "r")
    sizes = [(command.prosthesis_id, len(command.event_ids)) for command in commands if isinstance(command, Delete)]
    assert sizes == [("1", 1), ("2", IDS_PER_DELETE), ("2", 1)]
    commands += recomputes({"5": days(0, 1)}, "r")
    assert [decode_command(encode_command(command)) for command in commands] == commands
    assert [command.command_id for command in commands] == ["r-delete-0", "r-delete-1", "r-delete-2", "r-recompute-0"]
    assert isinstance(commands[-1], Recompute)
    assert encode_command(commands[-1]).startswith(b'{"type":"recompute","command_id":')


def test_what_is_recomputed_are_unequal_reports_and_the_neighbourhood_of_changed_events() -> None:
    at = 1_763_596_800_000_000  # 2025-11-20 00:00 UTC
    found = Comparison(1, 0, (), (KEY,), ())
    verification = Verification("g", None, 1, found, NOTHING, 0, 0.0)
    plan = Plan(verification, RawDifference({EventKey("1", 0, 1): (at,)}, {}, {EventKey("9", 0, 2): (at,)}))
    assert plan.days_by_prosthesis() == {
        "1": DayRange(date(2025, 11, 19), DAY), "9": DayRange(date(2025, 11, 19), date(2025, 11, 21)),
    }  # fmt: skip
    assert not plan.is_empty
    assert Plan(Verification("g", None, 1, NOTHING, NOTHING, 0, 0.0), RawDifference({}, {}, {})).is_empty


def test_a_signal_takes_nothing_but_ids_into_its_condition() -> None:
    mapping = SourceMapping.read()
    assert signal(mapping, ["1", "22"])["additional-conditions"][0]["filter"] == '"event_id" IN (1, 22)'
    with pytest.raises(ValueError, match="invalid literal"):
        signal(mapping, ["1) OR (true"])

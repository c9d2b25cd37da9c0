"""What a scheduled reconciliation keeps of what it found, and when a run has failed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

from reconciliation.compare import Comparison, Difference
from reconciliation.day_range import DayRange
from reconciliation.digests import Gap
from reconciliation.fields import Key
from reconciliation.outcomes import FOUND, LEFT, MOST_DIFFERENCES, Outcome, differences, outcome, unsound
from reconciliation.raw import EventKey, RawDifference
from reconciliation.repair import Plan
from reconciliation.scheduled import totals
from reconciliation.verification import Verification

DAYS = DayRange(date(2026, 11, 1), date(2026, 11, 2))
KEY = Key("user-1", date(2026, 11, 1), "7")
NOW = datetime(2026, 11, 3, tzinfo=UTC)
NOTHING = Comparison(0, 0, (), (), ())


def plan(found: Comparison, raw: RawDifference | None = None, **more: frozenset[str]) -> Plan:
    raw = raw or RawDifference({}, {}, {})
    verified = Verification("bionicpro_g1", DAYS, 1, found, NOTHING, 4, 0.5, raw=raw)
    return Plan(verified, raw, **more)


def kept(found: Comparison, raw: RawDifference | None = None, phase: str = FOUND) -> Outcome:
    return outcome("run", DAYS, phase, plan(found, raw), now=NOW)


EQUAL = kept(Comparison(10, 300, (), (), ()))
UNEQUAL = kept(Comparison(10, 300, (Difference(KEY, "usage_ms", 1, 2),), (), (KEY,)))


def test_counts_are_of_reports_and_events_those_of_gaps_included() -> None:
    raw = RawDifference({EventKey("7", 0, 1): (0,)}, {}, {}, {("7", 20_000): Gap(5, 2)})
    found = Comparison(10, 300, (Difference(KEY, "usage_ms", 1, 2), Difference(KEY, "event_count", 1, 2)), (), ())
    counted = kept(found, raw)
    assert (counted.different, counted.raw_missing, counted.unequal, counted.equal) == (1, 4, 5, False)


def test_no_text_of_a_report_is_kept_only_numbers() -> None:
    found = Comparison(1, 30, (Difference(KEY, "customer_name", "Anna", "Bertha"), Difference(KEY, "usage_ms", 1, 2)), (), ())
    assert list(differences(DAYS, plan(found))) == [
        ("field", "7", KEY.report_date, "customer_name", "", ""),
        ("field", "7", KEY.report_date, "usage_ms", "1", "2"),
    ]


def test_single_differences_are_bounded_and_counts_are_not() -> None:
    many = tuple(Key("u", date(2026, 11, 1), str(number)) for number in range(MOST_DIFFERENCES + 5))
    found = Comparison(len(many), 0, (), many, ())
    assert len(list(differences(DAYS, plan(found)))) == MOST_DIFFERENCES
    assert kept(found).missing == len(many)


def test_a_run_is_sound_where_the_last_look_at_each_window_was_equal() -> None:
    assert unsound([DAYS], [EQUAL]) == []
    assert unsound([DAYS], [UNEQUAL, replace(EQUAL, phase=LEFT)]) == []


def test_what_is_left_and_what_was_not_looked_at_is_named() -> None:
    other = DayRange(date(2026, 11, 3), date(2026, 11, 4))
    lines = unsound([DAYS, other], [UNEQUAL, replace(UNEQUAL, phase=LEFT, problems=("no connector",))])
    assert len(lines) == 2
    assert "NOT EQUAL" in lines[0]
    assert "no connector" in lines[0]
    assert "was not compared" in lines[1]


def test_a_window_that_neither_side_has_anything_in_is_no_fault() -> None:
    assert unsound([DAYS], [kept(NOTHING)]) == []


def test_totals_are_of_the_last_look_and_say_what_was_found_at_first() -> None:
    whole = totals([UNEQUAL, replace(EQUAL, phase=LEFT)])
    assert whole == {"rows_compared": 10, "fields_compared": 300, "unequal_at_first": 2, "unequal_at_last": 0}

"""Which days of prostheses are read by id, which again as a whole, and in how many parts."""

from __future__ import annotations

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from reconciliation.day_range import DayRange
from reconciliation.digests import PROSTHESES_PER_CONDITION, Digest, Gap, ProsthesisDay, Unlike, conditions, portions, unlike

DAY = 20_000


def unlike_of(source: dict[ProsthesisDay, Digest], raw: dict[ProsthesisDay, Digest], gap_rows: int) -> Unlike:
    return unlike(sorted(source.items()), sorted(raw.items()), gap_rows)


def at(day: int) -> date:
    return date.fromordinal(date(1970, 1, 1).toordinal() + day)


def test_days_that_are_alike_are_looked_at_no_closer() -> None:
    same = {("7", DAY): Digest(3, "12"), ("8", DAY): Digest(1, "5")}
    found = unlike_of(same, same, 1)
    assert (found.gaps, found.by_id) == ({}, {})


def test_another_checksum_under_the_same_count_is_read_by_id() -> None:
    found = unlike_of({("7", DAY): Digest(3, "12")}, {("7", DAY): Digest(3, "13")}, 1)
    assert (found.gaps, found.by_id) == ({}, {("7", DAY): 3})


def test_a_day_that_raw_lacks_is_a_gap_only_where_enough_is_missing_altogether() -> None:
    source = {("7", DAY): Digest(60, "1"), ("8", DAY): Digest(50, "1")}
    raw = {("8", DAY): Digest(10, "2")}
    assert unlike_of(source, raw, 100).gaps == {("7", DAY): Gap(60, 0), ("8", DAY): Gap(50, 10)}
    assert unlike_of(source, raw, 101).by_id == {("7", DAY): 60, ("8", DAY): 50}


def test_a_day_of_which_raw_has_half_is_no_gap() -> None:
    found = unlike_of({("7", DAY): Digest(60, "1")}, {("7", DAY): Digest(30, "2")}, 1)
    assert (found.gaps, found.by_id) == ({}, {("7", DAY): 60})


def test_what_only_raw_has_is_read_by_id() -> None:
    assert unlike_of({}, {("7", DAY): Digest(60, "1")}, 1).by_id == {("7", DAY): 60}


def test_neighbouring_days_of_the_same_prostheses_are_one_part() -> None:
    gaps = [("7", DAY), ("8", DAY), ("7", DAY + 1), ("8", DAY + 1), ("7", DAY + 2), ("7", DAY + 4)]
    assert list(conditions(gaps)) == [
        (DayRange(at(DAY), at(DAY + 1)), ("7", "8")),
        (DayRange(at(DAY + 2), at(DAY + 2)), ("7",)),
        (DayRange(at(DAY + 4), at(DAY + 4)), ("7",)),
    ]


def test_no_part_names_more_prostheses_than_a_signal_can_hold() -> None:
    parts = list(conditions((str(number), DAY) for number in range(PROSTHESES_PER_CONDITION + 1)))
    assert [len(prostheses) for _, prostheses in parts] == [PROSTHESES_PER_CONDITION, 1]


keys = st.tuples(st.sampled_from("abcde"), st.integers(DAY, DAY + 6))


@given(st.sets(keys))
def test_the_parts_cover_every_gap_once_and_nothing_else(gaps: set[tuple[str, int]]) -> None:
    covered = [
        (prosthesis, day.toordinal() - date(1970, 1, 1).toordinal())
        for days, prostheses in conditions(gaps)
        for prosthesis in prostheses
        for day in (date.fromordinal(n) for n in range(days.first.toordinal(), days.last.toordinal() + 1))
    ]
    assert sorted(covered) == sorted(gaps)


@given(st.dictionaries(keys, st.integers(1, 20)), st.integers(1, 40))
def test_portions_hold_every_day_once_and_a_prosthesis_whole(by_id: dict[tuple[str, int], int], most: int) -> None:
    found = list(portions(by_id, most))
    assert sorted(key for portion in found for key in portion) == sorted(by_id)
    of = [{prosthesis for prosthesis, _ in portion} for portion in found]
    assert all(not one & other for i, one in enumerate(of) for other in of[i + 1 :])
    assert all(len({p for p, _ in portion}) == 1 or sum(by_id[key] for key in portion) <= most for portion in found)

"""How far a replay takes the group back, and when it is refused."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
import typer

from cli.broker import Group
from cli.replay.command import parse_moment, recompute
from cli.replay.rewind import RewindRefusedError, refuse_while_read, rewind


def test_a_replay_goes_back_and_never_forward() -> None:
    planned = rewind({0: 100, 1: 50, 2: 7}, {0: 40, 1: 50, 2: 9, 3: 5}, {})
    assert planned.offsets == {0: 40}
    assert planned.records == 60


def test_a_replay_goes_back_as_far_as_the_tables_begin() -> None:
    planned = rewind({0: 100, 1: 50, 2: 7}, {0: 40, 1: 10, 2: 1}, {0: 30, 1: 20, 2: 7})
    assert planned.offsets == {0: 40, 1: 20}
    assert planned.records == 90


def test_a_group_that_stands_before_its_tables_or_nowhere_is_set_to_where_they_begin() -> None:
    planned = rewind({0: 10, 1: 50}, {0: 5, 1: 60, 2: 5, 3: 5}, {0: 30, 1: 20, 2: 7, 3: 0})
    assert planned.offsets == {0: 30, 2: 7}
    assert planned.records == 0


@pytest.mark.parametrize("group", [Group("g", "STABLE", ("worker-1@host (3 partitions)",)), Group("g", "PREPARING_REBALANCING", ())])
def test_a_group_that_is_read_is_refused_by_the_names_of_its_members(group: Group) -> None:
    with pytest.raises(RewindRefusedError, match=r"worker-1@host|until its session ends"):
        refuse_while_read(group)


@pytest.mark.parametrize("state", ["EMPTY", "DEAD"])
def test_a_group_without_members_may_be_set(state: str) -> None:
    refuse_while_read(Group("g", state, ()))


def test_a_time_without_an_offset_is_utc() -> None:
    assert parse_moment("2026-11-23T12:00") == datetime(2026, 11, 23, 12, tzinfo=UTC)
    assert parse_moment("2026-11-23T12:00+03:00") == datetime(2026, 11, 23, 9, tzinfo=UTC)
    with pytest.raises(typer.BadParameter, match="ISO 8601"):
        parse_moment("yesterday")


def test_a_recompute_begins_a_day_early_because_of_zones_behind_utc() -> None:
    assert recompute("17", parse_moment("2026-11-23T01:00+03:00")).from_date == date(2026, 11, 21)
    assert recompute("17", None).from_date is None
    with pytest.raises(typer.BadParameter, match="no prosthesis id"):
        recompute("017", None)

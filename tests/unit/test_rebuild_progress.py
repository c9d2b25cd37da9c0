"""What a rebuild is filled from, where it begins, and how its work is cut."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cli.broker import TopicPositions
from cli.rebuild import waiting
from cli.rebuild.progress import STEPS, Plan, RebuildError, begin, decode, encode, portions
from cli.rebuild.waiting import Patience
from schemas.generations import changelog_of, group_of
from schemas.keys import CRM_TOPIC, LOG_TOPIC
from schemas.partition_progress import PartitionProgress
from schemas.topics import catalogue

AT_MS = 1_795_000_000_000
TOPICS = {
    LOG_TOPIC: TopicPositions(LOG_TOPIC, "log", {0: 0, 1: 50}, {0: 10, 1: 60}),
    CRM_TOPIC: TopicPositions(CRM_TOPIC, "crm", {0: 0}, {0: 7}),
}
STORED = [
    PartitionProgress(LOG_TOPIC, 0, "log", 2, 4, AT_MS),
    PartitionProgress(LOG_TOPIC, 1, "log", 2, 20, AT_MS),
    PartitionProgress(CRM_TOPIC, 0, "crm", 1, 6, AT_MS),
]


def test_tables_of_these_very_topics_are_built_on_from_where_they_stand_or_where_the_log_begins() -> None:
    plan = begin(1, STORED, TOPICS, None)
    assert (plan.source, plan.begins, plan.step) == ("tables", {0: 5, 1: 50}, "positions")


@pytest.mark.parametrize(
    "stored",
    [
        [replace(STORED[0], topic_id="another"), *STORED[1:]],
        [replace(STORED[0], partition_count=3), *STORED[1:]],
        [replace(STORED[0], handled_offset=10), *STORED[1:]],
        [*STORED[:2], replace(STORED[2], topic_id="another")],
        STORED[:2],
        [],
    ],
)
def test_anything_else_comes_from_postgresql_from_the_end_of_the_log_on(stored: list[PartitionProgress]) -> None:
    plan = begin(1, stored, TOPICS, None)
    assert (plan.source, plan.begins) == ("postgres", {0: 10, 1: 60})
    with pytest.raises(RebuildError, match="--source"):
        begin(1, stored, TOPICS, "tables")


def test_postgresql_may_be_chosen_where_the_tables_would_do() -> None:
    assert begin(1, STORED, TOPICS, "postgres").source == "postgres"


def test_a_plan_is_the_same_after_it_was_noted() -> None:
    plan = begin(1, STORED, TOPICS, None).at("fold", "17")
    assert decode(encode(plan)) == plan
    assert decode("") is None


def test_steps_are_before_and_after_in_their_order() -> None:
    plan = Plan(old=1, source="tables", begins={}, step="fold")
    assert [plan.is_before(step) for step in STEPS] == [False, False, True, True, True, True]


def test_portions_cover_all_in_order_and_none_is_too_large_unless_it_is_one_prosthesis() -> None:
    counts = [("1", 5), ("2", 100), ("3", 3), ("4", 3), ("5", 3), ("6", 1)]
    assert list(portions(counts, 10, 3)) == [["1"], ["2"], ["3", "4", "5"], ["6"]]
    assert list(portions([], 10, 3)) == []


def test_each_generation_has_a_group_and_a_directory_of_its_own_and_the_firsts_are_in_the_catalogue() -> None:
    groups = [group_of("bionicpro-processor", generation) for generation in (1, 2, 3)]
    assert len(set(groups)) == 3
    assert groups[0] == "bionicpro-processor"
    assert changelog_of(groups[0]) in catalogue()


def test_what_stands_still_ends_and_what_moves_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "LOOK_S", 0.01)
    numbers = iter([5, 4, 3, 2, 1, 0])
    patience = Patience(30, lambda _: None, lambda: None)
    patience.until_few(lambda: next(numbers), 0, "things")
    with pytest.raises(RebuildError, match="7 things, and nothing moves"):
        Patience(0.1, lambda _: None, lambda: None).until_few(lambda: 7, 0, "things")


def test_tables_filled_from_another_server_are_not_built_on() -> None:
    assert begin(1, STORED, TOPICS, None, "the server of telemetry went back").source == "postgres"
    with pytest.raises(RebuildError, match="the server of telemetry went back"):
        begin(1, STORED, TOPICS, "tables", "the server of telemetry went back")

"""When what is removed from which generation."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from eraser.rules import Generation, Older, Phase, Receipt, State, has_handled, last_day, older, phase, to_clean
from schemas.erasure_rules import ErasureRule

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
RULE = ErasureRule("7", "e", "s", ((0, 86_400_000_000),), 0, 1, customer_gone=True, reason="r", topic_id="log", partition=3, offset=100)
SERVING = Generation("g1", State.SERVING, "log", 100)


def test_nothing_is_removed_from_the_serving_tables_before_their_worker_has_handled_the_command() -> None:
    """Its caches may hold what the rule covers, and would write it again."""
    early = replace(SERVING, handled=99)
    assert to_clean(RULE, [early]) == []
    assert to_clean(RULE, [SERVING]) == [SERVING]


def test_tables_that_are_being_built_are_cleaned_at_once_and_waited_for() -> None:
    building = Generation("g2", State.BUILDING, "log", 5)
    assert to_clean(RULE, [building]) == [building]
    assert not has_handled(RULE, building)


@pytest.mark.parametrize(
    "generation",
    [
        Generation("g0", State.RETIRED, "log", 5),
        Generation("g2", State.BUILDING, None, None),
        Generation("g3", State.SERVING, "another log", 5),
    ],
    ids=["nobody works on it", "nobody has begun", "made with the rule, from another log"],
)
def test_a_command_that_will_never_come_is_not_waited_for(generation: Generation) -> None:
    assert has_handled(RULE, generation)


def test_offsets_of_another_log_are_not_compared() -> None:
    assert older(RULE, SERVING) is Older.BY_VERSION
    assert older(RULE, replace(SERVING, topic_id="another log")) is Older.NONE
    assert older(RULE, Generation("g0", State.RETIRED, "another log", 5)) is Older.ALL


def test_the_receipt_comes_only_after_a_second_look_when_nobody_can_write_any_more() -> None:
    receipt = Receipt(RULE, started_at=NOW)
    assert phase(receipt, NOW, 60, 3600) is Phase.REMOVE
    removed = replace(receipt, removed_at=NOW)
    assert phase(removed, NOW + timedelta(seconds=59), 60, 3600) is Phase.SETTLE
    assert phase(removed, NOW + timedelta(seconds=60), 60, 3600) is Phase.FINISH
    finished = replace(removed, finished_at=NOW, checked_at=NOW)
    assert phase(finished, NOW + timedelta(seconds=3599), 60, 3600) is Phase.REST
    assert phase(finished, NOW + timedelta(seconds=3600), 60, 3600) is Phase.SWEEP


def test_a_finished_erasure_is_looked_for_again_once_other_tables_are_served() -> None:
    finished = Receipt(RULE, started_at=NOW, removed_at=NOW, finished_at=NOW + timedelta(seconds=9), checked_at=NOW)
    soon = NOW + timedelta(seconds=10)
    assert phase(finished, soon, 60, 3600, tables_changed=NOW + timedelta(seconds=1)) is Phase.SWEEP  # while the receipt was written
    assert phase(finished, soon, 60, 3600, tables_changed=NOW - timedelta(seconds=1)) is Phase.REST


def test_removed_rows_add_up_over_restarts() -> None:
    receipt = Receipt(RULE, started_at=NOW).having({"g1.a": 2}).having({"g1.a": 3, "g2.a": 1})
    assert receipt.removed == {"g1.a": 5, "g2.a": 1}


def test_reports_of_the_last_day_and_the_one_before_may_still_be_live() -> None:
    assert str(last_day(RULE)) == "1970-01-01"

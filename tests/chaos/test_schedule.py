"""One short schedule of faults against real servers, and the rules that schedules themselves follow."""

from __future__ import annotations

import pytest

from stream_processor.adapters.clickhouse import ClickHouseStore
from stream_processor.adapters.intake import Intake
from stream_processor.adapters.kafka_transport import BatchConsumer
from stream_processor.app import Processor
from tests.chaos.armory import POINTS, Armory
from tests.chaos.drifts import DRIFTS, drift_of, drift_operations
from tests.chaos.lane import Lane
from tests.chaos.losses import EVERY, LOSSES, chosen, loss_of, loss_operations
from tests.chaos.run import Run
from tests.chaos.schedule import MIN_SECONDS, schedule
from tests.chaos.worker import DyingConsumer, DyingIntake, DyingProcessor, DyingStore
from tests.chaos.workers import REPOSITORY, Workers
from tests.chaos.workload import plan

SEED = 20


def quiet(_line: str) -> None:
    """A test run has no use for progress lines."""


@pytest.mark.timeout(900)
def test_the_mart_equals_postgresql_after_a_schedule_of_faults(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("chaos")
    lane = Lane(folder / "lane", quiet)
    try:
        lane.start()
        workers = Workers(lane.worker_variables(), folder, Armory(folder / "armory"))
        try:
            result = Run(lane, workers, 0, schedule(SEED), quiet).run()
        finally:
            workers.close()
    finally:
        lane.stop()
    assert result.problems == []
    assert result.verification is not None
    assert result.verification["rows_compared"] > 0
    assert len(result.schedule.faults) >= 5
    assert result.schedule.seconds >= 45


@pytest.mark.parametrize("seed", range(0, 300, 37))
def test_a_seed_is_the_same_schedule_and_the_same_workload_every_time(seed: int) -> None:
    assert schedule(seed) == schedule(seed)
    assert plan(seed, 3, 40).operations == plan(seed, 3, 40).operations
    assert drift_operations(seed, plan(seed, 3, 40), 40) == drift_operations(seed, plan(seed, 3, 40), 40)
    assert [loss_operations(seed, loss, 40) for loss in LOSSES] == [loss_operations(seed, loss, 40) for loss in LOSSES]


def test_every_event_that_is_to_have_a_dead_letter_is_put_in() -> None:
    """In seed 2 an event of a gateway was invalid by its content and then put in under a negative id: nobody ever saw the other one."""
    for seed in range(40):
        made = plan(seed, 1, 45)
        of = [operation.details for operation in made.operations if operation.actor.startswith("gateway")]
        said = {event_id for details in of for event_id in details.get("ids", [row["event_id"] for row in details.get("rows", [])])}
        assert made.broken <= said, seed


def test_every_schedule_lasts_long_enough_and_holds_at_least_five_faults() -> None:
    for seed in range(200):
        made = schedule(seed)
        assert made.seconds >= MIN_SECONDS
        assert len(made.faults) >= 5
        assert all(0 < fault.at_s < made.seconds for fault in made.faults)


def test_a_hundred_schedules_reach_for_every_kill_point_more_than_ten_times() -> None:
    wanted = [fault.target for seed in range(100) for fault in schedule(seed).faults if fault.kind in {"kill-point", "freeze-point"}]
    assert all(wanted.count(point) > 10 for point in POINTS)


def test_consecutive_seeds_without_a_loss_reach_for_every_drift_of_a_source() -> None:
    without = [seed for seed in range(100, 100 + 2 * len(DRIFTS)) if loss_of(seed) is None]
    assert {drift_of(seed).name for seed in without} == {drift.name for drift in DRIFTS}


def test_consecutive_seeds_reach_for_every_loss() -> None:
    found = [loss_of(seed) for seed in range(100, 100 + EVERY * len(LOSSES))]
    assert [loss for loss in found if loss] == [LOSSES[(100 // EVERY + i) % len(LOSSES)] for i in range(len(LOSSES))]


def test_what_each_loss_says_and_the_commands_that_heal_it_stand_in_the_operators_manual() -> None:
    manual = (REPOSITORY / "docs" / "operations.md").read_text(encoding="utf-8")
    for loss in LOSSES:
        assert all(f"`{command}`" in manual for command in loss.heals), loss
        assert bool(loss.heals) == bool(loss.says), loss


def test_a_fixed_schedule_of_the_tests_loses_nothing() -> None:
    assert loss_of(SEED) is None


def test_losses_are_chosen_by_their_names() -> None:
    assert chosen("all") == LOSSES
    assert chosen("none") == ()
    assert [loss.name for loss in chosen("disk-kafka,expired-down")] == ["disk-kafka", "expired-down"]
    with pytest.raises(ValueError, match="there is no loss disk-redis"):
        chosen("disk-redis")


@pytest.mark.parametrize(
    ("dying", "whole"),
    [(DyingProcessor, Processor), (DyingConsumer, BatchConsumer), (DyingIntake, Intake), (DyingStore, ClickHouseStore)],
)
def test_every_kill_point_stands_around_something_that_the_processor_has(dying: type, whole: type) -> None:
    """A method that was renamed would otherwise leave its points where nobody passes."""
    own = {name for name, value in vars(dying).items() if callable(value)} - {"_phase", "__getattr__"}
    assert own <= set(dir(whole))

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
from tests.chaos.run import Run
from tests.chaos.schedule import MIN_SECONDS, schedule
from tests.chaos.worker import DyingConsumer, DyingIntake, DyingProcessor, DyingStore
from tests.chaos.workers import Workers
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


def test_every_schedule_lasts_long_enough_and_holds_at_least_five_faults() -> None:
    for seed in range(200):
        made = schedule(seed)
        assert made.seconds >= MIN_SECONDS
        assert len(made.faults) >= 5
        assert all(0 < fault.at_s < made.seconds for fault in made.faults)


def test_a_hundred_schedules_reach_for_every_kill_point_more_than_ten_times() -> None:
    wanted = [fault.target for seed in range(100) for fault in schedule(seed).faults if fault.kind in {"kill-point", "freeze-point"}]
    assert all(wanted.count(point) > 10 for point in POINTS)


def test_consecutive_seeds_reach_for_every_drift_of_a_source() -> None:
    assert {drift_of(seed).name for seed in range(100, 100 + len(DRIFTS))} == {drift.name for drift in DRIFTS}


@pytest.mark.parametrize(
    ("dying", "whole"),
    [(DyingProcessor, Processor), (DyingConsumer, BatchConsumer), (DyingIntake, Intake), (DyingStore, ClickHouseStore)],
)
def test_every_kill_point_stands_around_something_that_the_processor_has(dying: type, whole: type) -> None:
    """A method that was renamed would otherwise leave its points where nobody passes."""
    own = {name for name, value in vars(dying).items() if callable(value)} - {"_phase", "__getattr__"}
    assert own <= set(dir(whole))

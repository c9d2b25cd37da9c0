"""The order of a worker's effects: processed, dead letters delivered, and only then acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from clickhouse_driver.errors import ErrorCodes, ServerException

from stream_processor.adapters.dead_letters import TooManyDeadLetters
from stream_processor.adapters.intake import Delivery, Intake
from stream_processor.domain.log_records import DeadLetter
from stream_processor.outcome import Outcome
from stream_processor.ports import StoreUnavailable, StoreUnusable
from stream_processor.worker import REPORTS_AT_ONCE, Worker
from tests.support.log_model import LogRecord
from tests.support.waiting import eventually

EPOCH = 7


class Scene:
    """Engine, effects and deliveries that write down what happened to them. *failures*: how often the store is away; *moves*: the epoch changes meanwhile;
    *unfinished*: the partitions that each call leaves unfinished."""

    def __init__(
        self, *, dead: int = 0, failures: int = 0, moves: bool = False, limit: int = 100, unfinished: Sequence[set[int]] = ()
    ) -> None:
        self.said: list[str] = []
        self._dead = dead
        self._failures = failures
        self._moves = moves
        self._to_leave = list(unfinished)
        self.unfinished: frozenset[int] = frozenset()
        self.reports_per_record = 0
        self.epoch = EPOCH
        self.intake = Intake(10)
        self._now = 0.0
        self.worker = Worker(
            self,  # type: ignore[arg-type]  # an engine, as far as the worker asks
            self.intake,
            self,
            lambda: self.epoch,
            interval_s=0,
            store_deadline_s=10,
            dead_letters_per_minute=limit,
            clock=lambda: self._now,
            sleep=self._sleep,
        )

    def process(self, records: Sequence[Any], epoch: int, *, whole: bool) -> Outcome:
        if self._failures:
            self._failures -= 1
            self.unfinished = frozenset()
            raise StoreUnavailable("away")
        self.said.append(f"process {len(records)}")
        if self._moves:
            self.epoch += 1
        self.unfinished = frozenset(self._to_leave.pop(0) if self._to_leave else ())
        dead = [DeadLetter(record, "invalid-row", "") for record in records[: self._dead]]
        return Outcome(dead=dead, records=len(records), reports=len(records) * self.reports_per_record, unfinished=self.unfinished)

    async def send_dead_letters(self, dead: Sequence[DeadLetter]) -> None:
        self.said.append(f"dead {len(dead)}")

    def observe(self, outcome: Outcome, seconds: float) -> None:
        """Nothing to see here."""

    def fail_next(self) -> None:
        self._failures = 1

    def delivery(self, name: str, records: int = 1, epoch: int = EPOCH, partition: int = 0) -> Delivery:
        async def acknowledge() -> None:
            self.said.append(f"acknowledge {name}")

        return Delivery([LogRecord(partition, offset, b"1", b"") for offset in range(records)], epoch, acknowledge)

    async def _sleep(self, seconds: float) -> None:
        self._now += seconds


async def test_a_batch_is_acknowledged_after_everything_else() -> None:
    scene = Scene(dead=1)
    await scene.worker.handle([scene.delivery("a", 2), scene.delivery("b", 3)])
    assert scene.said == ["process 5", "dead 1", "acknowledge a", "acknowledge b"]


@pytest.mark.parametrize(
    ("reports_per_record", "batches"), [(1, ["process 4"]), (REPORTS_AT_ONCE // 2, ["process 2"] * 2), (REPORTS_AT_ONCE, ["process 2"] * 2)]
)
async def test_a_batch_has_as_many_records_as_its_reports_allow(reports_per_record: int, batches: list[str]) -> None:
    """As the batch before tells; never less than what came together."""
    scene = Scene()
    scene.reports_per_record = reports_per_record
    await scene.worker.handle([scene.delivery("first", 2)])
    for name in ("second", "third"):
        await scene.intake.put(scene.delivery(name, 2))
    running = asyncio.create_task(scene.worker.run())
    await eventually(lambda: "acknowledge third" in scene.said)
    running.cancel()
    assert [said for said in scene.said if said.startswith("process")] == ["process 2", *batches]


async def test_a_batch_that_fails_is_never_acknowledged() -> None:
    scene = Scene(failures=1000)
    with pytest.raises(StoreUnavailable):
        await scene.worker.handle([scene.delivery("a")])
    assert "acknowledge a" not in scene.said


async def test_a_batch_that_failed_is_tried_again() -> None:
    scene = Scene(failures=1)
    await scene.worker.handle([scene.delivery("a")])
    assert scene.said == ["process 1", "acknowledge a"]


async def test_a_batch_of_an_earlier_assignment_is_dropped() -> None:
    scene = Scene()
    await scene.worker.handle([scene.delivery("old", 2, EPOCH - 1), scene.delivery("new", 1)])
    assert scene.said == ["process 1", "acknowledge new"]


async def test_a_batch_during_which_the_assignment_changed_is_not_acknowledged() -> None:
    scene = Scene(moves=True)
    await scene.worker.handle([scene.delivery("a")])
    assert scene.said == ["process 1"]


async def test_too_many_dead_letters_stop_the_processor_before_it_acknowledges() -> None:
    scene = Scene(dead=3, limit=2)
    with pytest.raises(TooManyDeadLetters):
        await scene.worker.handle([scene.delivery("a", 3)])
    assert scene.said == ["process 3"]


async def test_a_partition_with_an_unfinished_recompute_is_acknowledged_when_it_is_finished_and_the_others_at_once() -> None:
    scene = Scene(unfinished=[{0}, {0}, set()])
    await scene.worker.handle([scene.delivery("a", 2), scene.delivery("b", 3, partition=1)])
    assert scene.said == ["process 5", "acknowledge b"]
    await scene.worker.handle([scene.delivery("c", 1), scene.delivery("d", 1, partition=1)])
    assert scene.said[2:] == ["process 2", "acknowledge d"]
    await scene.worker.handle([])
    assert scene.said[4:] == ["process 0", "acknowledge a", "acknowledge c"]


async def test_what_is_unfinished_is_processed_again_where_the_engine_forgot_it() -> None:
    scene = Scene(unfinished=[{0}, set()])
    await scene.worker.handle([scene.delivery("a", 2)])
    scene.fail_next()
    await scene.worker.handle([scene.delivery("b", 3, partition=1)])
    assert scene.said == ["process 2", "process 5", "acknowledge a", "acknowledge b"]


async def test_what_is_unfinished_is_dropped_with_its_assignment() -> None:
    scene = Scene(unfinished=[{0}])
    await scene.worker.handle([scene.delivery("a", 2)])
    scene.epoch += 1
    await scene.worker.handle([])
    assert scene.said == ["process 2"]


class PoisonedScene(Scene):
    """One whose engine fails at some *offsets*, each time."""

    def __init__(self, *offsets: int, error: Exception | None = None, limit: int = 100) -> None:
        super().__init__(limit=limit)
        self._offsets = set(offsets)
        self._error = error or OverflowError("too large")
        self.letters: list[DeadLetter] = []

    def process(self, records: Sequence[Any], epoch: int, *, whole: bool) -> Outcome:
        if self._offsets & {record.offset for record in records}:
            raise self._error
        return super().process(records, epoch, whole=whole)

    def leave_out(self, record: Any, epoch: int, *, up_to: int | None) -> Outcome:
        self.said.append(f"leave out {record.offset}")
        return Outcome(records=1)

    async def send_dead_letters(self, dead: Sequence[DeadLetter]) -> None:
        await super().send_dead_letters(dead)
        self.letters += dead


async def test_a_record_that_fails_its_batch_is_left_out_after_its_dead_letter_and_the_log_goes_on() -> None:
    scene = PoisonedScene(2)
    await scene.worker.handle([scene.delivery("a", 4)])
    assert scene.said == ["process 2", "dead 1", "process 1", "leave out 2", "acknowledge a"]
    assert [(letter.reason, letter.error) for letter in scene.letters] == [("poison", "OverflowError: too large")]


@pytest.mark.parametrize(
    "error", [StoreUnavailable("away"), StoreUnusable("no such table"), MemoryError()], ids=lambda error: type(error).__name__
)
async def test_an_outage_and_what_no_record_is_to_blame_for_leave_nothing_out(error: Exception) -> None:
    scene = PoisonedScene(2, error=error)
    with pytest.raises(type(error)):
        await scene.worker.handle([scene.delivery("a", 4)])
    assert scene.said == []


async def test_where_record_after_record_fails_the_processor_stops_within_the_limit_of_dead_letters() -> None:
    scene = PoisonedScene(*range(10), limit=3)
    with pytest.raises(TooManyDeadLetters):
        await scene.worker.handle([scene.delivery("a", 10)])
    assert len(scene.letters) == 3
    assert "acknowledge a" not in scene.said


async def test_a_batch_that_is_too_much_for_one_query_is_split_and_nothing_is_left_out() -> None:
    class Cramped(PoisonedScene):
        def process(self, records: Sequence[Any], epoch: int, *, whole: bool) -> Outcome:
            if len(records) > 2:
                raise ServerException("Query memory limit exceeded", ErrorCodes.MEMORY_LIMIT_EXCEEDED)
            return super().process(records, epoch, whole=whole)

    scene = Cramped()
    await scene.worker.handle([scene.delivery("a", 7)])
    assert [said for said in scene.said if said != "forget"] == ["process 1", "process 2", "process 2", "process 2", "acknowledge a"]
    assert scene.letters == []

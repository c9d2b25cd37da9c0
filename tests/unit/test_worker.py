"""The order of a worker's effects: processed, dead letters delivered, and only then acknowledged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from stream_processor.adapters.dead_letters import TooManyDeadLetters
from stream_processor.adapters.intake import Delivery, Intake
from stream_processor.domain.decode import DeadLetter
from stream_processor.engine import Outcome
from stream_processor.ports import StoreUnavailable
from stream_processor.worker import Worker
from tests.support.log_model import LogRecord

EPOCH = 7


class Scene:
    """Engine, effects and deliveries that write down what happened to them. *failures*: how often the store is away; *moves*: the epoch changes meanwhile."""

    def __init__(self, *, dead: int = 0, failures: int = 0, moves: bool = False, limit: int = 100) -> None:
        self.said: list[str] = []
        self._dead = dead
        self._failures = failures
        self._moves = moves
        self.epoch = EPOCH
        self._now = 0.0
        self.worker = Worker(
            self,  # type: ignore[arg-type]  # an engine, as far as the worker asks
            Intake(10),
            self,
            lambda: self.epoch,
            interval_s=0,
            store_deadline_s=10,
            dead_letters_a_minute=limit,
            clock=lambda: self._now,
            sleep=self._sleep,
        )

    def process(self, records: Sequence[Any], epoch: int) -> Outcome:
        if self._failures:
            self._failures -= 1
            raise StoreUnavailable("away")
        self.said.append(f"process {len(records)}")
        if self._moves:
            self.epoch += 1
        return Outcome(dead=[DeadLetter(record, "invalid-row", "") for record in records[: self._dead]], records=len(records))

    def forget(self) -> None:
        self.said.append("forget")

    async def send_dead_letters(self, dead: Sequence[DeadLetter]) -> None:
        self.said.append(f"dead {len(dead)}")

    def observe(self, outcome: Outcome, seconds: float) -> None:
        """Nothing to see here."""

    def delivery(self, name: str, records: int = 1, epoch: int = EPOCH) -> Delivery:
        async def acknowledge() -> None:
            self.said.append(f"acknowledge {name}")

        return Delivery([LogRecord(0, offset, b"1", b"") for offset in range(records)], epoch, acknowledge)

    async def _sleep(self, seconds: float) -> None:
        self._now += seconds


async def test_a_batch_is_acknowledged_after_everything_else() -> None:
    scene = Scene(dead=1)
    await scene.worker.handle([scene.delivery("a", 2), scene.delivery("b", 3)])
    assert scene.said == ["process 5", "dead 1", "acknowledge a", "acknowledge b"]


async def test_a_batch_that_fails_is_never_acknowledged() -> None:
    scene = Scene(failures=1000)
    with pytest.raises(StoreUnavailable):
        await scene.worker.handle([scene.delivery("a")])
    assert "acknowledge a" not in scene.said


async def test_a_batch_that_is_tried_again_begins_without_caches() -> None:
    scene = Scene(failures=1)
    await scene.worker.handle([scene.delivery("a")])
    assert scene.said == ["forget", "process 1", "acknowledge a"]


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

"""Drives the engine: takes what waits, has it processed in a thread, delivers dead letters, acknowledges. Knows neither Faust nor ClickHouse."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import structlog

from stream_processor.adapters.dead_letters import DeadLetterLimit
from stream_processor.adapters.intake import Delivery, Intake
from stream_processor.domain.decode import DeadLetter
from stream_processor.engine import Engine, Outcome
from stream_processor.ports import StoreUnavailable

log = structlog.get_logger()

FIRST_BACKOFF_S = 0.2
MAX_BACKOFF_S = 5.0
HELD_RECORDS = 100_000  # more than this wait for no recompute in parts: it is finished at once
ERASURES_EVERY_S = 30.0
REPORTS_AT_ONCE = 5_000  # a batch of more of them is cut: each costs some KiB on its way, where an event costs some hundred bytes


class Effects(Protocol):
    """What the worker does to the world beside the store."""

    async def send_dead_letters(self, dead: Sequence[DeadLetter]) -> None:
        """Deliver to the dead-letter topic; returns when the broker has acknowledged."""
        ...

    def observe(self, outcome: Outcome, seconds: float) -> None: ...


class Worker:
    """One batch at a time. *epoch* says which assignment is in force: a batch begun under another is not acknowledged."""

    def __init__(
        self,
        engine: Engine,
        intake: Intake,
        effects: Effects,
        epoch: Callable[[], int],
        *,
        interval_s: float,
        store_deadline_s: float,
        dead_letters_a_minute: int,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._engine = engine
        self._intake = intake
        self._effects = effects
        self._epoch = epoch
        self._interval_s = interval_s
        self._store_deadline_s = store_deadline_s
        self._limit = DeadLetterLimit(dead_letters_a_minute)
        self._clock = clock
        self._sleep = sleep
        self._held: list[Delivery] = []  # of partitions with a recompute that goes on: handled, not to be acknowledged yet
        self._memory = engine.memory
        self._erasures_read = clock()
        self._reports_a_record = 1.0  # of the last batch: what comes next is like it; of the first one nothing is known

    async def run(self) -> None:
        """Until cancelled. Raises what stops the processor: StoreUnavailable after the deadline, TooManyDeadLetters, any defect."""
        while True:
            began = self._clock()
            await self.handle(await self._intake.take(self._at_once(), wait=not self._held))
            await self._sleep(max(0.0, self._interval_s - (self._clock() - began)))

    def _at_once(self) -> int:
        """How many records to take."""
        return int(REPORTS_AT_ONCE / max(self._reports_a_record, 1e-3))

    async def handle(self, deliveries: Sequence[Delivery]) -> None:
        """Process the deliveries of the present assignment and acknowledge them, last of all.

        What is held back is none of the engine's business twice, unless it forgot what it had begun.
        """
        epoch = self._epoch()
        current = [delivery for delivery in deliveries if delivery.epoch == epoch]
        self._held = [delivery for delivery in self._held if delivery.epoch == epoch]
        if not current and not self._held:
            return
        began = self._clock()
        outcome = await self._process(current, epoch)
        if outcome.records:
            self._reports_a_record = outcome.reports / outcome.records
        if outcome.dead:
            self._limit.count(len(outcome.dead), self._clock())
            await self._effects.send_dead_letters(outcome.dead)
        self._effects.observe(outcome, self._clock() - began)
        if self._epoch() != epoch:
            log.info("assignment changed during a batch: not acknowledged", records=outcome.records)
            return
        done = [delivery for delivery in (*self._held, *current) if delivery.partition not in outcome.unfinished]
        self._held = [delivery for delivery in (*self._held, *current) if delivery.partition in outcome.unfinished]
        for delivery in done:
            await delivery.acknowledge()

    async def _process(self, current: Sequence[Delivery], epoch: int) -> Outcome:
        """The engine's work in a thread, tried again with a back-off while the store is away."""
        deadline, backoff = self._clock() + self._store_deadline_s, FIRST_BACKOFF_S
        while True:
            try:
                return await asyncio.to_thread(self._engine_work, current, epoch)
            except StoreUnavailable as error:
                self._engine.forget()
                if self._clock() >= deadline:
                    raise
                log.warning("store is away, the batch waits", error=str(error), again_in_s=backoff)
            await self._sleep(backoff)
            backoff = min(backoff * 2, MAX_BACKOFF_S)

    def _engine_work(self, current: Sequence[Delivery], epoch: int) -> Outcome:
        """In a thread. A worker that is behind, as one that fills a new generation, learns of erasures before it reaches their commands."""
        if self._clock() - self._erasures_read >= ERASURES_EVERY_S:
            self._engine.reload_erasures()
            self._erasures_read = self._clock()
        again = self._held if self._engine.memory != self._memory else ()
        records = [record for delivery in (*again, *current) for record in delivery.records]
        whole = sum(len(delivery.records) for delivery in self._held) > HELD_RECORDS
        outcome = self._engine.process(records, epoch, whole=whole)
        self._memory = self._engine.memory
        return outcome

"""Drives the engine: takes what waits, has it processed in a thread, delivers dead letters, acknowledges. Knows neither Faust nor ClickHouse."""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

import structlog

from service_kit.retries import BackOff
from stream_processor.adapters.dead_letters import DeadLetterLimit
from stream_processor.adapters.intake import Delivery, Intake
from stream_processor.domain.log_records import DeadLetter, Record
from stream_processor.engine import Engine
from stream_processor.outcome import Outcome
from stream_processor.poison import POISON_PER_MINUTE, TRIES, search
from stream_processor.ports import StoreUnavailable, StoreUnusable

log = structlog.get_logger()

FIRST_BACKOFF_S = 0.2
MAX_BACKOFF_S = 5.0
HELD_RECORDS = 100_000  # more than this wait for no recompute in parts: it is finished at once
ERASURES_EVERY_S = 30.0
REPORTS_AT_ONCE = 5_000  # a batch of more of them is cut: each costs some KiB on its way, where an event costs some hundred bytes
# Nobody's record is to blame for these: an outage beyond its deadline, a store that refuses everything, a machine that is full.
HOPELESS = (StoreUnavailable, StoreUnusable, MemoryError)


class Effects(Protocol):
    """What the worker does to the world beside the store."""

    async def send_dead_letters(self, dead: Sequence[DeadLetter]) -> None:
        """Deliver to the dead-letter topic; returns when the broker has acknowledged."""
        ...

    def observe(self, outcome: Outcome, seconds: float) -> None: ...


class Worker:
    """One batch at a time. *epoch* says which assignment is in force: a batch begun under another is not acknowledged. *before_each*: called before each batch."""

    def __init__(
        self,
        engine: Engine,
        intake: Intake,
        effects: Effects,
        epoch: Callable[[], int],
        *,
        interval_s: float,
        store_deadline_s: float,
        dead_letters_per_minute: int,
        before_each: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._engine = engine
        self._intake = intake
        self._effects = effects
        self._epoch = epoch
        self._interval_s = interval_s
        self._store_deadline_s = store_deadline_s
        self._limit = DeadLetterLimit(dead_letters_per_minute)
        self._poison_limit = DeadLetterLimit(min(POISON_PER_MINUTE, dead_letters_per_minute))
        self._before_each = before_each
        self._clock = clock
        self._sleep = sleep
        self._held: list[Delivery] = []  # of partitions with a recompute that goes on: handled, not to be acknowledged yet
        self._erasures_read = clock()
        self._reports_a_record = 1.0  # of the last batch: what comes next is like it; of the first one nothing is known

    def expect(self, handled: Mapping[int, int]) -> None:
        """See ``Engine.expect``."""
        self._engine.expect(handled)

    async def run(self) -> None:
        """Until cancelled. Raises what stops the processor: StoreUnavailable after the deadline, StoreUnusable, TooManyDeadLetters."""
        while True:
            began = self._clock()
            await self.handle(await self._intake.take(self._at_once(), wait=not self._held))
            await self._sleep(max(0.0, self._interval_s - (self._clock() - began)))

    def _at_once(self) -> int:
        """How many records to take."""
        return int(REPORTS_AT_ONCE / max(self._reports_a_record, 1e-3))

    async def handle(self, deliveries: Sequence[Delivery]) -> None:
        """Process the deliveries of the present assignment and acknowledge them, last of all.

        Deliveries of a partition whose recompute goes on are held back. They are not processed again, unless the engine failed and so has forgotten what it had begun.
        """
        self._before_each()
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
        """The engine's work. A batch that fails again and again for another reason than the store is split, until the records that make it fail are found and left out."""
        for left in reversed(range(TRIES)):
            try:
                return await self._attempt(partial(self._engine_work, current, epoch))
            except HOPELESS:
                raise
            except Exception as error:
                log.error("a batch failed", tries_left=left, **_seen(error))  # noqa: TRY400 - its text may hold values
        records = [record for delivery in (*self._held, *current) for record in delivery.records]
        return await self._process_in_parts(records, epoch)

    async def _process_in_parts(self, records: Sequence[Record], epoch: int) -> Outcome:
        """All of *records* but the poison among them; what is behind a part is done for good, so a part may be tried after a crash or a failure again."""
        outcome, plan = Outcome(), search(len(records))
        poison: list[Record] = []
        part = next(plan, None)
        while part is not None and self._epoch() == epoch:
            failed = await self._fails(records[part.start : part.stop], epoch, outcome, poison)
            try:
                part = plan.send(failed)
            except StopIteration:
                part = None
        for record in poison:
            if self._epoch() == epoch:
                # Attempts at the whole batch may have folded its event into states that are as far as the batch: its removal must reach as far,
                # and by now raw has everything up to there.
                up_to = max(other.offset for other in records if other.partition == record.partition)
                await self._leave_out(record, up_to, epoch, outcome)
        return outcome

    async def _fails(self, records: Sequence[Record], epoch: int, outcome: Outcome, poison: list[Record]) -> bool:
        """Whether the part fails; a single record that does becomes a dead letter and is added to *poison*."""
        try:
            outcome.add(await self._attempt(partial(self._engine.process, records, epoch, whole=True)))
        except HOPELESS:
            raise
        except Exception as error:
            if len(records) == 1:
                await self._report_poison(records[0], error)
                poison.append(records[0])
            return True
        return False

    async def _report_poison(self, poison: Record, error: Exception) -> None:
        """The dead letter comes before the log goes on past the record: from there on it is the only trace of it."""
        log.error("poison: a record cannot be processed", partition=poison.partition, offset=poison.offset, **_seen(error))
        self._poison_limit.count(1, self._clock())
        self._limit.count(1, self._clock())
        await self._effects.send_dead_letters([DeadLetter(poison, "poison", f"{type(error).__name__}: {error}")])

    async def _leave_out(self, poison: Record, up_to: int, epoch: int, outcome: Outcome) -> None:
        try:
            outcome.add(await self._attempt(partial(self._engine.leave_out, poison, epoch, up_to=up_to)))
        except HOPELESS:
            raise
        except Exception as again:
            log.error("its event cannot be taken out of raw", partition=poison.partition, offset=poison.offset, **_seen(again))  # noqa: TRY400
            outcome.add(await self._attempt(partial(self._engine.leave_out, poison, epoch, up_to=None)))

    async def _attempt(self, work: Callable[[], Outcome]) -> Outcome:
        """*work* in a thread, tried again with a back-off while the store is away. After any failure the engine begins anew."""
        back_off = BackOff(first_s=FIRST_BACKOFF_S, most_s=MAX_BACKOFF_S, clock=self._clock)
        while True:
            try:
                return await asyncio.to_thread(work)
            except Exception as error:
                pause_s = back_off.failed()
                if not isinstance(error, StoreUnavailable) or back_off.failing_s() >= self._store_deadline_s:
                    raise
                log.warning("store is away, the batch waits", error=str(error), again_in_s=round(pause_s, 1))
            await self._sleep(pause_s)

    def _engine_work(self, current: Sequence[Delivery], epoch: int) -> Outcome:
        """In a thread. A worker that is behind, as one that fills a new generation, learns of erasures before it reaches their commands."""
        if self._clock() - self._erasures_read >= ERASURES_EVERY_S:
            self._engine.reload_erasures()
            self._erasures_read = self._clock()
        # What is held back was handled, unless the engine has forgotten what it had begun.
        again = [delivery for delivery in self._held if delivery.partition not in self._engine.unfinished]
        records = [record for delivery in (*again, *current) for record in delivery.records]
        whole = sum(len(delivery.records) for delivery in self._held) > HELD_RECORDS
        return self._engine.process(records, epoch, whole=whole)


def _seen(error: Exception) -> dict[str, str]:
    """The kind of an error and where it arose. Its text, which may hold somebody's values, goes into the dead letter alone."""
    frames = traceback.extract_tb(error.__traceback__)
    return {"error": type(error).__name__, "at": f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""}

"""A record that makes its batch fail, wherever in the batch's effects: found, left out, and the mart is the fold without it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from schemas.commands import Delete, encode_command
from stream_processor.adapters.intake import Delivery, Intake
from stream_processor.domain.log_records import DeadLetter
from stream_processor.engine import Engine
from stream_processor.outcome import Outcome
from stream_processor.worker import Worker
from tests.property.test_engine import batches, changes, cut_lists, engine, relaxed, world
from tests.support.log_model import PARTITIONS, LogRecord, Sources
from tests.support.memory_store import MemoryStore

Place = tuple[int, int]
# What comes again is as poisonous as it was the first time; here a record is poison by its place alone.
worlds_without_repeats = st.lists(changes.filter(lambda step: step[0] != "redeliver"), max_size=40)


class Fragile:
    """Passes everything on to a store; while *armed*, the *at*-th write fails as one does whose data cannot be written, before or after it happened."""

    def __init__(self, store: MemoryStore, at: int, *, after: bool) -> None:
        self._store = store
        self._at = at
        self._after = after
        self._writes = 0
        self.armed = False

    def arm(self, armed: bool) -> None:
        self.armed, self._writes = armed, 0

    def __getattr__(self, name: str) -> Any:
        target = getattr(self._store, name)
        if not name.startswith("write_"):
            return target

        def write(*arguments: Any) -> None:
            self._writes += 1
            fails = self.armed and self._writes == self._at
            if fails and not self._after:
                raise OverflowError("injected before the write")
            target(*arguments)
            if fails:
                raise OverflowError("injected after the write")

        return write


class PoisonedEngine:
    """An engine to which some records of the log are poison: the batch they are in fails at one of its writes, at the latest when it is done."""

    def __init__(self, store: Fragile, poison: set[Place]) -> None:
        self._store = store
        self._poison = poison
        self._engine: Engine = engine(store)

    def process(self, records: Sequence[Any], epoch: int, *, whole: bool) -> Outcome:
        bad = any((record.partition, record.offset) in self._poison for record in records)
        self._store.arm(bad)
        outcome = self._engine.process(records, epoch, whole=whole)
        if bad:
            raise OverflowError("injected after all writes")
        return outcome

    def leave_out(self, record: Any, epoch: int, *, up_to: int | None) -> Outcome:
        self._store.arm(False)
        return self._engine.leave_out(record, epoch, up_to=up_to)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)


class Line:
    """A worker over a store; *dead*: the dead letters; *acknowledged*: the next offset by partition."""

    def __init__(self, worked: Any) -> None:
        self.dead: list[DeadLetter] = []
        self.acknowledged = [0] * PARTITIONS
        self._worker = Worker(
            worked,
            Intake(10),
            self,
            lambda: 1,
            interval_s=0,
            store_deadline_s=1,
            dead_letters_per_minute=10_000,
            sleep=lambda _: asyncio.sleep(0),
        )

    async def send_dead_letters(self, dead: Sequence[DeadLetter]) -> None:
        self.dead.extend(dead)

    def observe(self, outcome: Outcome, seconds: float) -> None:
        """Not looked at."""

    def run(self, parts: list[list[LogRecord]]) -> None:
        asyncio.run(self._run(parts))

    async def _run(self, parts: list[list[LogRecord]]) -> None:
        for part in parts:
            by_partition = {record.partition for record in part}
            await self._worker.handle([self._delivery([r for r in part if r.partition == p]) for p in sorted(by_partition)])

    def _delivery(self, records: list[LogRecord]) -> Delivery:
        async def acknowledge() -> None:
            self.acknowledged[records[0].partition] = records[-1].offset + 1

        return Delivery(records, 1, acknowledge)

    def places(self, reason: str = "poison") -> set[Place]:
        return {(letter.record.partition, letter.record.offset) for letter in self.dead if letter.reason == reason}


def without(sources: Sources, poison: set[Place]) -> list[list[LogRecord]]:
    """The log as it would be had each poison record said only that its event is gone."""
    return [[_instead(r) if (r.partition, r.offset) in poison else r for r in partition] for partition in sources.log]


def _instead(record: LogRecord) -> LogRecord:
    try:
        envelope = json.loads(record.value or b"")
        row = envelope["after"] or envelope["before"]
        command = Delete(command_id="c", prosthesis_id=str(row["prosthesis_id"]), event_ids=((0, row["event_id"]),), reason="test")
    except (ValueError, KeyError, TypeError):
        return replace(record, value=b"garbage")
    return replace(record, value=encode_command(command))


def chosen(sources: Sources, numbers: set[int]) -> set[Place]:
    """Of the changes of telemetry. What was stored of a document or of an erasure's rule before the batch failed stays in force: its own replacement alone takes it back."""
    places = [(record.partition, record.offset) for partition in sources.log for record in partition if b'"op"' in (record.value or b"")]
    return {places[number % len(places)] for number in numbers} if places else set()


SIGNAL = {
    "kind": "signal",
    "amplitude_uv": 0,
    "active_ms": 0,
    "movement_recognised": False,
    "prosthesis_id": 1,
    "recorded_us": 1793318400000000,
}


@relaxed
@given(worlds_without_repeats, cut_lists, st.sets(st.integers(0, 99), min_size=1, max_size=3), st.integers(1, 8), st.booleans())
@example(
    [("insert", SIGNAL), ("insert", SIGNAL)], [7, 1], {0}, 8, False
)  # the failed attempt has folded the poison, and is as far as the batch
def test_the_mart_is_the_fold_without_the_poison(
    steps: list[tuple[Any, ...]], cuts: list[int], numbers: set[int], at: int, after: bool
) -> None:
    sources = world(steps)
    poison = chosen(sources, numbers)
    store = MemoryStore()
    line = Line(PoisonedEngine(Fragile(store, at, after=after), poison))
    line.run(batches(sources, cuts, [0] * PARTITIONS))
    assert line.places() == poison, "exactly the poison is left out, each record as a dead letter"
    assert line.acknowledged == [len(partition) for partition in sources.log], "the log goes on"
    expected = MemoryStore()
    plain = engine(expected)
    sources.log = without(sources, poison)
    for batch in batches(sources, [1], [0] * PARTITIONS):  # a command deletes what was there before it, as far as it is in another batch
        plain.process(batch, epoch=1)
    assert store.live_reports() == expected.live_reports()


@relaxed
@given(worlds_without_repeats, cut_lists, st.sets(st.integers(0, 99), min_size=1, max_size=3), st.integers(1, 8), st.booleans())
def test_poison_that_is_sent_again_once_it_can_be_processed_counts(
    steps: list[tuple[Any, ...]], cuts: list[int], numbers: set[int], at: int, after: bool
) -> None:
    """As `dlq replay` does with an insert after the defect is mended."""
    calm = [step for step in steps if step[0] in {"insert", "garbage", "recompute"}]
    sources = world(calm)
    poison = chosen(sources, numbers)
    store = MemoryStore()
    line = Line(PoisonedEngine(Fragile(store, at, after=after), poison))
    line.run(batches(sources, cuts, [0] * PARTITIONS))
    reached = [len(partition) for partition in sources.log]
    for partition, offset in sorted(poison):
        record = sources.log[partition][offset]
        sources.log[partition].append(replace(record, offset=len(sources.log[partition])))
    again = engine(store)
    for batch in batches(sources, cuts, reached):
        again.process(batch, epoch=2)
    assert store.live_reports() == sources.mart()

"""A large window is left between two parts of raw, and other records are handled there: the rules of ``stream_processor/domain/window_fold.py``, one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from functools import partial
from itertools import cycle
from typing import Any

import pytest

from schemas.commands import Recompute, encode_command
from schemas.keys import partition_of
from schemas.mapping import SourceMapping
from schemas.ownership import Ownership
from stream_processor.engine import Engine, EngineSettings
from stream_processor.outcome import Outcome
from stream_processor.ports import StoreUnavailable
from tests.support.log_model import PARTITIONS, Sources, micro
from tests.support.memory_store import MemoryStore

NOON = micro(datetime(2026, 5, 4, 12, tzinfo=UTC))
HOUR, DAY = 3_600_000_000, 86_400_000_000
MAPPING = SourceMapping.read()
LARGE, EVENTS, MANY = 1, 8, 60
HOME = partition_of(str(LARGE).encode(), PARTITIONS)
BESIDE = next(n for n in range(2, 99) if partition_of(str(n).encode(), PARTITIONS) == HOME)
ELSEWHERE = next(n for n in range(2, 99) if partition_of(str(n).encode(), PARTITIONS) != HOME)


def battery(percent: int, prosthesis: int = LARGE, at: int = NOON) -> dict[str, Any]:
    return {"kind": "battery", "battery_percent": percent, "prosthesis_id": prosthesis, "recorded_us": at}


def owner(user: str, timezone: str = "UTC") -> list[Ownership]:
    return [Ownership(NOON - 90 * DAY, None, user, user, "Name", timezone, user, "N")]


class Counting(MemoryStore):
    """Knows which events were read for recomputes."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[int] = []

    def telemetry(self, *arguments: Any) -> Iterator[Any]:
        for ids, events in super().telemetry(*arguments):
            self.read += events.event_id_lo.tolist()
            yield ids, events


class Case:
    """Sources, a store and a worker that reads raw in parts of one event and leaves a recompute after each. The day of the prosthesis LARGE has EVENTS events of 50, 51 … per cent."""

    def __init__(self, *, first_open_day: Callable[[], int | None] = lambda: None, cached_states: int = 50) -> None:
        self.sources, self.store = Sources(), Counting()
        self.first_open_day, self.cached_states = first_open_day, cached_states
        self.worker = self.another()
        self.handled = [0] * PARTITIONS
        for prosthesis in (LARGE, BESIDE, ELSEWHERE):
            self.sources.own(prosthesis, owner(f"u{prosthesis}"))
            for i in range(EVENTS if prosthesis == LARGE else 1):
                self.sources.insert(battery(50 + i, prosthesis))
        self.go_on(whole=True)

    def another(self) -> Engine:
        settings = EngineSettings(
            "log", "id", PARTITIONS, cached_states=self.cached_states, recompute_events=1, first_open_day=self.first_open_day
        )
        return Engine(self.store, MAPPING, settings)

    def go_on(self, *steps: Callable[[], object], epoch: int = 1, whole: bool = False) -> Outcome:
        """Handle what *steps* say, and a part of what is unfinished."""
        for step in steps:
            step()
        records = [record for partition, done in zip(self.sources.log, self.handled, strict=True) for record in partition[done:]]
        self.handled = [len(partition) for partition in self.sources.log]
        return self.worker.process(records, epoch, whole=whole)

    def begin(self, parts: int = 3) -> None:
        """A recompute of the day, with so many parts of it read."""
        self.go_on(partial(self.sources.recompute, LARGE))
        for _ in range(parts - 1):
            self.go_on()
        assert self.worker.unfinished == {HOME}
        assert self.store.read == list(range(1, parts + 1))

    def finish(self, *steps: Callable[[], object], epoch: int = 1) -> int:
        """Go on until nothing is unfinished; returns how often."""
        for calls in range(1, MANY):
            if not self.go_on(*steps, epoch=epoch).unfinished:
                return calls
        raise AssertionError("it does not come to an end")

    def report(self, prosthesis: int = LARGE) -> dict[str, Any]:
        (found,) = [row for row in self.store.reports.values() if row["prosthesis_id"] == str(prosthesis) and not row["is_deleted"]]
        return found

    def is_right(self) -> bool:
        return self.store.live_reports() == self.sources.mart()


@pytest.fixture(autouse=True)
def parts_of_one_event(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream_processor.ports.TELEMETRY_AT_ONCE", 1)


def test_batches_of_others_are_written_between_two_parts_and_the_large_day_is_not_touched_before_it_is_whole() -> None:
    case = Case(cached_states=1)
    before = case.report()
    case.begin()
    for prosthesis in (BESIDE, ELSEWHERE):
        case.go_on(partial(case.sources.insert, battery(10, prosthesis)))
        assert case.report(prosthesis)["event_count"] == 2
        assert case.report() == before
        assert case.worker.unfinished == {HOME}
    case.finish()
    assert case.is_right()
    assert case.report()["version"] > before["version"]


def test_a_recompute_of_less_than_a_part_does_not_wait_for_a_large_one(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case()
    case.begin()
    monkeypatch.setattr("stream_processor.ports.TELEMETRY_AT_ONCE", 2)
    of_beside = next(event for event, row in case.sources.rows.items() if row["prosthesis_id"] == BESIDE)
    case.go_on(partial(case.sources.update, of_beside, {"battery_percent": 5}))
    assert case.report(BESIDE)["battery_last_bp"] == 500
    assert case.worker.unfinished == {HOME}
    case.finish()
    assert case.is_right()


def test_a_large_recompute_does_not_wait_for_others_that_take_all_the_budget() -> None:
    case = Case()
    case.begin()
    of_elsewhere = next(event for event, row in case.sources.rows.items() if row["prosthesis_id"] == ELSEWHERE)
    percents = cycle(range(100))
    for _ in range(3 * EVENTS):
        case.go_on(lambda: case.sources.update(of_elsewhere, {"battery_percent": next(percents)}))
    assert HOME not in case.worker.unfinished
    case.finish()
    assert case.is_right()


def test_progress_and_documents_wait_for_the_last_part() -> None:
    case = Case()
    before = {row.partition: row.handled_offset for row in case.store.progress("log")}
    case.go_on(partial(case.sources.own, LARGE, owner("v")))
    for _ in range(EVENTS - 1):
        case.go_on()
        assert {row.partition: row.handled_offset for row in case.store.progress("log")}[HOME] == before[HOME]
        assert case.store.documents[str(LARGE)].crm_offset == 1
    case.finish()
    assert case.is_right()
    assert {row.partition: row.handled_offset for row in case.store.progress("log")}[HOME] == len(case.sources.log[HOME]) - 1
    assert [user for user, _, prosthesis in case.store.live_reports() if prosthesis == str(LARGE)] == ["v"]


def test_news_do_not_disturb_a_fold_and_are_read_at_the_end() -> None:
    case = Case()
    case.begin()
    for percent in (30, 31):
        case.go_on(partial(case.sources.insert, battery(percent)))
    case.finish()
    assert case.is_right()
    assert case.report()["event_count"] == EVENTS + 2
    assert case.report()["version"] == len(case.sources.log[HOME]) - 1
    assert case.store.read.count(1) == 1, "the fold was begun again"


def test_a_state_from_ahead_does_not_prove_that_a_record_is_news_to_a_fold() -> None:
    """The group was set back to the beginning of the log, in which the record of an event had come twice."""
    case = Case()
    case.go_on(partial(case.sources.recompute, LARGE))
    case.finish()
    begun = len(case.sources.log[HOME])
    first = next(record for record in case.sources.log[HOME] if b'"c"' in (record.value or b""))
    case.go_on(lambda: case.sources._append(first.key or b"", first.value))
    case.go_on(partial(case.sources.insert, battery(30)))
    ahead = case.sources.log[HOME][begun:]
    del case.sources.log[HOME][begun:]
    case.worker, case.handled = case.another(), [0] * PARTITIONS
    case.go_on(epoch=2)
    assert case.worker.unfinished == {HOME}
    case.sources.log[HOME] += ahead
    case.finish(epoch=2)
    assert case.is_right()


FIRST = {"battery_percent": 5}


def snapshot(of: Sources) -> None:
    """A change of an event that nobody was told of is healed by its row in a snapshot."""
    of.rows[1] |= FIRST
    of.incremental_snapshot()


def recompute(of: Sources) -> None:
    """Of this day alone."""
    command = Recompute(command_id="c", prosthesis_id=str(LARGE), reason="test", from_date=date(2026, 5, 4), to_date=date(2026, 5, 4))
    of._append(str(LARGE).encode(), encode_command(command))


@pytest.mark.parametrize("parts", [1, 3, EVENTS])
@pytest.mark.parametrize(
    "change",
    [
        lambda of: of.update(1, FIRST),
        lambda of: of.delete(1),
        lambda of: of.update(1, {"recorded_us": NOON - DAY}),
        lambda of: of.update(1, {"prosthesis_id": ELSEWHERE}),
        lambda of: of.withdraw(1),
        snapshot,
        lambda of: of.own(LARGE, owner("v")),
        lambda of: of.own(LARGE, owner(f"u{LARGE}", "Pacific/Auckland")),
        lambda of: of.erase(LARGE, NOON, NOON + 1),
        lambda of: of.update(1, {"battery_percent": 101}),
    ],
    ids=["update", "delete", "another day", "another prosthesis", "command", "snapshot", "owner", "zone", "rule", "invalid"],
)
def test_what_replaces_or_takes_away_what_was_read_begins_the_fold_again(change: Callable[[Sources], object], parts: int) -> None:
    """The event was read in the first part."""
    case = Case()
    case.begin(parts)
    case.go_on(partial(change, case.sources))
    case.finish()
    assert case.is_right()


def test_a_command_computes_anew_what_was_read_before_it() -> None:
    """Raw was mended by hand in between."""
    case = Case()
    case.begin()
    case.store.raw[str(LARGE), 0, 1]["battery_bp"] = 500
    case.sources.rows[1] |= FIRST
    case.go_on(partial(recompute, case.sources))
    case.finish()
    assert case.is_right()


def test_a_fold_that_is_disturbed_again_and_again_comes_to_an_end() -> None:
    case = Case()
    case.begin()
    percents = iter(range(100))
    assert case.finish(lambda: case.sources.update(1, {"battery_percent": next(percents)})) == 3
    assert case.is_right()


@pytest.mark.parametrize("epoch", [1, 2], ids=["a crash", "another assignment"])
def test_what_was_folded_is_lost_with_the_assignment_and_nothing_else(epoch: int) -> None:
    case = Case()
    before = list(case.handled)
    case.begin()
    case.go_on(partial(case.sources.insert, battery(30)))
    if epoch == 1:
        case.worker = case.another()
    case.handled = before
    case.finish(epoch=epoch)
    assert case.is_right()
    assert case.store.read.count(1) == 2


def refuse(*_: object) -> None:
    raise StoreUnavailable("away")


def test_a_failure_of_the_store_loses_the_fold_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case()
    before = list(case.handled)
    case.begin()

    case.sources.insert(battery(30))
    with monkeypatch.context() as away:
        away.setattr(case.store, "write_telemetry", refuse)
        with pytest.raises(StoreUnavailable):
            case.go_on()
    assert case.worker.unfinished == frozenset()
    case.handled = before
    case.finish()
    assert case.is_right()


def test_a_day_that_is_closed_between_two_parts_stays_as_it_is() -> None:
    first_open: int | None = None
    case = Case(first_open_day=lambda: first_open)
    before = case.report()
    case.begin()
    first_open = NOON // DAY + 1
    case.finish()
    assert case.report() == before


def test_prostheses_of_one_window_are_each_read_from_their_own_offsets() -> None:
    """Partitions have offsets of their own: what is news to one is old to the other."""
    case = Case()
    both = [partial(case.sources.recompute, prosthesis) for prosthesis in (LARGE, ELSEWHERE)]
    case.go_on(*both)
    for prosthesis in (LARGE, ELSEWHERE):
        case.go_on(partial(case.sources.insert, battery(30, prosthesis)))
    assert case.worker.unfinished == {HOME, partition_of(str(ELSEWHERE).encode(), PARTITIONS)}
    case.finish()
    assert case.is_right()
    assert case.store.read.count(1) == 1


def test_where_one_of_a_windows_prostheses_is_disturbed_all_of_them_begin_again() -> None:
    case = Case()
    case.go_on(*(partial(case.sources.recompute, prosthesis) for prosthesis in (LARGE, ELSEWHERE)))
    case.go_on(partial(case.sources.update, 1, FIRST))
    case.go_on()
    case.finish()
    assert case.is_right()


def test_what_is_left_of_a_recompute_is_finished_at_once_where_it_must_be() -> None:
    case = Case()
    case.begin()
    assert not case.go_on(partial(case.sources.insert, battery(30)), whole=True).unfinished
    assert case.is_right()
    assert case.store.read.count(1) == 1


def test_a_record_that_comes_again_under_a_state_from_ahead_is_not_read_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """A former worker handled all and died before its progress was stored, so that nothing of what comes is beyond the states: that is no proof that it is news."""
    case = Case()
    before = list(case.handled)
    of = case.sources
    of.recompute(LARGE)
    cut = len(of.log[HOME])
    of.redeliver(0)
    again = len(of.log[HOME])
    of.insert(battery(30))
    epoch = 2
    with monkeypatch.context() as dying:
        dying.setattr(case.store, "write_progress", refuse)
        with pytest.raises(StoreUnavailable):
            case.go_on(whole=True)
    case.worker, case.store.read = case.another(), []
    records = of.log[HOME][before[HOME] :]
    command, redelivered, news = records[:1], of.log[HOME][cut:again], of.log[HOME][again:]
    assert [len(part) for part in (command, redelivered, news)] == [1, 1, 1]
    for batch in (command, redelivered, news):
        case.worker.process(batch, epoch, whole=False)
    case.finish(epoch=epoch)
    assert case.is_right()

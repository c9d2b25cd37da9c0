"""Records that come again, where an incremental snapshot or a change of owner came in between: none of them is news."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import msgspec
import pytest

from schemas.commands import encode_command
from schemas.erasure import subject_of
from schemas.mapping import SourceMapping
from schemas.ownership import Ownership
from stream_processor.engine import Engine, EngineSettings
from stream_processor.ports import StoreUnavailable
from tests.support.log_model import PARTITIONS, Sources, micro
from tests.support.memory_store import Faults, MemoryStore

NOON = micro(datetime(2026, 5, 4, 12, tzinfo=UTC))
HOUR, DAY = 3_600_000_000, 86_400_000_000
BATTERY: dict[str, Any] = {"kind": "battery", "battery_percent": 50, "prosthesis_id": 1, "recorded_us": NOON}
Step = Callable[[], object]


def owner(user: str, timezone: str = "UTC") -> list[Ownership]:
    return [Ownership(NOON - 90 * DAY, None, user, user, "Name", timezone, user, "N")]


def engine(store: Any) -> Engine:
    return Engine(store, SourceMapping.read(), EngineSettings("log", "id", PARTITIONS))


class Case:
    """Sources, a store, and one worker that handles what each step says, with parts merged in between: the hardest case, because nothing is left of what was replaced."""

    def __init__(self) -> None:
        self.sources, self.store = Sources(), MemoryStore()
        self.worker = engine(self.store)
        self.handled = 0

    def unhandled(self) -> list[Any]:
        return [record for partition in self.sources.log for record in partition][self.handled :]

    def run(self, *steps: Step) -> None:
        for step in steps:
            step()
            self.worker.process(self.unhandled(), epoch=1)
            self.handled += len(self.unhandled())
            self.store.merge()

    def lose(self, event_id: int, **changes: Any) -> None:
        """A change that nobody is told of."""
        self.sources.lsn += 10
        self.sources.rows[event_id] |= changes

    def is_right(self) -> bool:
        return self.store.live_reports() == self.sources.mart()


@pytest.mark.parametrize("change", [{"battery_percent": 60}, None], ids=["update", "insert"])
@pytest.mark.parametrize("successor", [owner("v"), [msgspec.structs.replace(owner("u")[0], customer_name="Other")]], ids=["owner", "name"])
def test_a_report_from_ahead_is_left_until_its_records_come(
    monkeypatch: pytest.MonkeyPatch, change: dict[str, Any] | None, successor: list[Ownership]
) -> None:
    """A worker died between the states and the document of an owner. The next one does not know that document yet when it meets the report."""
    case = Case()
    of = case.sources
    case.run(lambda: of.own(1, owner("u")), lambda: of.insert(BATTERY))
    of.update(1, change) if change else of.insert({**BATTERY, "battery_percent": 70})
    of.own(1, successor)
    event, document = case.unhandled()
    with monkeypatch.context() as dying:
        dying.setattr(case.store, "write_ownership", refuse)
        with pytest.raises(StoreUnavailable):
            case.worker.process([event, document], epoch=1)
    before = case.store.live_reports()
    assert [user for user, *_ in before] == [successor[0].user_id]
    after = engine(case.store)
    after.process([event], epoch=2)
    assert case.store.live_reports() == before
    after.process([document], epoch=2)
    assert case.is_right()


def refuse(_rows: object) -> None:
    raise StoreUnavailable("no answer")


def test_an_update_that_comes_again_does_not_take_back_what_a_snapshot_healed() -> None:
    world = Case()
    of = world.sources
    world.run(lambda: of.own(1, owner("u")), lambda: of.insert(BATTERY), lambda: of.update(1, {"battery_percent": 60}))
    world.lose(1, battery_percent=70)
    world.run(of.incremental_snapshot, lambda: of.redeliver(1))
    assert world.is_right()
    assert next(iter(world.store.live_reports().values()))["battery_last_bp"] == 7_000


def test_an_insert_that_comes_again_is_not_news_to_a_former_owner_in_another_zone() -> None:
    """Two in the morning: a day that the report of the owner in New York, who had seen less, does not share with the one the event then left."""
    world, at = Case(), NOON - 10 * HOUR
    of = world.sources
    world.run(
        lambda: of.own(1, owner("ny", "America/New_York")),
        lambda: of.insert({**BATTERY, "recorded_us": at}),
        lambda: of.own(1, owner("utc")),
        lambda: of.insert({**BATTERY, "recorded_us": at}),
    )
    for event_id in (1, 2):
        world.run(partial(of.update, event_id, {"recorded_us": NOON - 20 * DAY}))
    world.run(lambda: of.own(1, owner("ny", "America/New_York")))
    before = world.store.live_reports()
    world.run(lambda: of.redeliver(1))
    assert world.is_right()
    assert world.store.live_reports() == before


@pytest.mark.parametrize("snapshots", [1, 3])
def test_a_change_after_a_snapshot_outranks_it(snapshots: int) -> None:
    world = Case()
    of = world.sources
    world.run(lambda: of.own(1, owner("u")), lambda: of.insert(BATTERY))
    world.lose(1, battery_percent=70)
    world.run(*[of.incremental_snapshot] * snapshots, lambda: of.update(1, {"battery_percent": 80}))
    assert world.is_right()


def test_a_snapshot_row_that_is_handled_again_after_a_crash_keeps_its_rank() -> None:
    """Were it raised with every attempt, it would in the end outrank a change that is made later."""
    world = Case()
    of = world.sources
    world.run(lambda: of.own(1, owner("u")), lambda: of.insert(BATTERY))
    world.lose(1, battery_percent=70)
    of.incremental_snapshot()
    for _ in range(20):
        dying = engine(Faults(world.store, 1, after=True))
        with pytest.raises(Exception, match="injected"):
            dying.process(world.unhandled(), epoch=1)
    world.run(lambda: of.update(1, {"battery_percent": 80}))
    assert world.is_right()


@pytest.mark.parametrize("become", [{"battery_percent": 101}, {"recorded_us": NOON + 1}])
@pytest.mark.parametrize("again", ["snapshot", "incremental_snapshot"])
def test_a_snapshot_takes_out_what_a_lost_change_made_invalid_or_moved_into_an_erased_time(become: dict[str, Any], again: str) -> None:
    """Whether it is asked for (incremental) or made because the connector begins anew (initial, with an LSN)."""
    world = Case()
    of = world.sources
    world.run(lambda: of.own(1, owner("u")), lambda: of.insert(BATTERY), lambda: of.erase(1, NOON + 1, NOON + 2))
    assert len(world.store.live_reports()) == 1
    world.lose(1, **become)
    world.run(getattr(of, again))
    assert world.store.live_reports() == world.sources.mart() == {}


@pytest.mark.parametrize("again", ["snapshot", "incremental_snapshot"])
def test_a_snapshot_takes_an_event_out_that_a_lost_change_moved_to_where_nobody_owned_the_prosthesis(again: str) -> None:
    world = Case()
    of = world.sources
    world.run(lambda: of.own(1, owner("u")), lambda: of.insert(BATTERY))
    world.lose(1, recorded_us=NOON - 100 * DAY)
    world.run(getattr(of, again))
    assert world.store.live_reports() == world.sources.mart() == {}


@pytest.mark.parametrize(
    "lost", [{"recorded_us": NOON - 9 * DAY}, {"battery_percent": 101}, {"recorded_us": NOON - 100 * DAY}, {"recorded_us": NOON + 1}]
)
@pytest.mark.parametrize("then", ["delete", "break", "correct", "move"])
@pytest.mark.parametrize("crash", [False, True])
def test_a_change_takes_the_place_of_what_is_known_whatever_it_says_was_there(lost: dict[str, Any], then: str, *, crash: bool) -> None:
    """The change before it was lost. A snapshot leaves out what changes while it reads, so nothing else tells of that event any more."""
    world = Case()
    of = world.sources
    world.run(lambda: of.own(1, owner("u")), lambda: of.insert(BATTERY), lambda: of.erase(1, NOON + 1, NOON + 2))
    world.lose(1, **lost)
    if then == "delete":
        of.delete(1)
    else:
        of.update(
            1, {"break": {"battery_percent": 102}, "correct": {"battery_percent": 60}, "move": {"recorded_us": NOON - 30 * DAY}}[then]
        )
    if crash:
        with pytest.raises(Exception, match="injected"):
            engine(Faults(world.store, 1, after=True)).process(world.unhandled(), epoch=1)
        world.worker = engine(world.store)
    world.run(lambda: None)
    assert world.store.live_reports() == world.sources.mart()


def test_an_update_that_comes_again_does_not_undo_a_snapshot_that_took_its_event_out() -> None:
    world = Case()
    of = world.sources
    world.run(lambda: of.own(1, owner("u")), lambda: of.insert(BATTERY), lambda: of.update(1, {"battery_percent": 60}))
    world.lose(1, battery_percent=101)
    world.run(of.incremental_snapshot, lambda: of.redeliver(1))
    assert world.is_right()
    assert world.store.live_reports() == {}


def test_the_day_that_an_update_left_is_computed_anew_after_a_crash_came_right_after_raw() -> None:
    """Raw then says where the event is now, and the record alone where it was."""
    case = Case()
    of = case.sources
    case.run(lambda: of.own(1, owner("u")), lambda: of.insert(BATTERY))
    of.update(1, {"recorded_us": NOON - DAY})
    with pytest.raises(StoreUnavailable):
        engine(Faults(case.store, 1, after=True)).process(case.unhandled(), epoch=1)
    engine(case.store).process(case.unhandled(), epoch=2)
    assert case.is_right()


@pytest.mark.parametrize(
    ("lost", "told"),
    [
        ({"battery_percent": 101}, {"battery_percent": 102}),
        ({"kind": "nonsense"}, {"battery_percent": None}),
        ({"battery_percent": None}, {"recorded_us": NOON + 1}),
    ],
    ids=["refused by the typed decoding", "an unknown kind", "well-formed, and without what its kind needs"],
)
def test_a_change_from_invalid_to_invalid_takes_out_what_a_lost_change_left(lost: dict[str, Any], told: dict[str, Any]) -> None:
    """The change that made the row invalid never came, so raw still has it as it was."""
    case = Case()
    of = case.sources
    case.run(lambda: of.own(1, owner("u")), lambda: of.insert(BATTERY))
    case.lose(1, **lost)
    case.run(lambda: of.update(1, told))
    assert case.store.live_reports() == {}
    assert case.is_right()


def test_an_erasure_that_is_decided_again_with_less_knowledge_erases_no_less() -> None:
    """The directory of a new generation decides it again from what compaction has left of the CRM's changes, under the same name."""
    case = Case()
    of = case.sources
    case.run(lambda: of.own(1, owner("u")), lambda: of.insert(BATTERY), lambda: of.erase(1, NOON - HOUR, NOON + HOUR, "u"))
    whole = of.erased[0]
    less = msgspec.structs.replace(whole, intervals=((NOON + HOUR, NOON + 2 * HOUR),), subject=subject_of("v"))
    case.run(lambda: of._append(b"1", encode_command(less)))
    case.worker = engine(case.store)
    case.run(of.incremental_snapshot)
    assert case.store.live_reports() == {}
    (rule,) = case.store.erasures()
    assert rule.intervals == ((NOON - HOUR, NOON + 2 * HOUR),)
    assert {rule.subject, *rule.former_subjects} == {subject_of("u"), subject_of("v")}

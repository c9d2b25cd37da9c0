"""Single histories that generated cases reach too seldom, each with the rule that it tests."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from schemas.erasure_rules import ErasureRule
from schemas.mapping import SourceMapping
from schemas.ownership import Ownership
from stream_processor.engine import Engine, EngineSettings
from stream_processor.ports import StoreUnavailable, StoreUnusable
from tests.support.log_model import PARTITIONS, Sources, micro
from tests.support.memory_store import Faults, MemoryStore

NOON = micro(datetime(2026, 5, 4, 12, tzinfo=UTC))
DAY = 86_400_000_000
BATTERY: dict[str, Any] = {"kind": "battery", "battery_percent": 50, "prosthesis_id": 1, "recorded_us": NOON}


class DiesAfterReports(MemoryStore):
    """The process ends between the mart and the states."""

    def write_reports(self, columns: Any) -> None:
        super().write_reports(columns)
        raise StoreUnavailable("ended between mart and state")


def engine(store: MemoryStore) -> Engine:
    return Engine(store, SourceMapping.read(), EngineSettings("log", "id", PARTITIONS))


def owner(user: str) -> list[Ownership]:
    return [Ownership(NOON - 9 * DAY, None, user, user, "Name", "UTC", user, "N")]


def owned() -> Sources:
    sources = Sources()
    sources.own(1, owner("u"))
    return sources


def records(sources: Sources) -> list[Any]:
    return [record for partition in sources.log for record in partition]


def test_a_report_written_just_before_a_crash_is_taken_back_where_its_owner_changes_in_the_same_batch() -> None:
    sources, store = owned(), MemoryStore()
    engine(store).process(records(sources), epoch=1)
    sources.insert(BATTERY)
    dying = DiesAfterReports()
    dying.__dict__.update(store.__dict__)
    with pytest.raises(StoreUnavailable):
        engine(dying).process(records(sources)[1:], epoch=1)
    assert [user for user, _, _ in store.live_reports()] == ["u"]
    sources.own(1, owner("v"))
    engine(store).process(records(sources)[1:], epoch=1)
    assert store.live_reports() == sources.mart()
    assert [user for user, _, _ in store.live_reports()] == ["v"]


class DiesAfterRaw(MemoryStore):
    """The process ends between raw and mart."""

    def write_telemetry(self, *arguments: Any) -> None:
        super().write_telemetry(*arguments)
        raise StoreUnavailable("ended between raw and mart")


def test_a_delete_command_takes_the_event_out_of_its_report_though_a_crash_came_right_after_raw() -> None:
    sources, store = owned(), MemoryStore()
    first = sources.insert(BATTERY)
    sources.insert(BATTERY)
    engine(store).process(records(sources), epoch=1)
    known = len(records(sources))
    sources.withdraw(first)
    dying = DiesAfterRaw()
    dying.__dict__.update(store.__dict__)
    with pytest.raises(StoreUnavailable):
        engine(dying).process(records(sources)[known:], epoch=1)
    engine(store).process(records(sources)[known:], epoch=1)
    assert store.live_reports() == sources.mart()


def test_a_delete_command_counts_beside_a_change_of_its_batch_that_asks_for_less() -> None:
    """Seed 7300282: an update from something invalid to something invalid takes out what was known up to there, which was all that was remembered of the event."""
    sources, store = owned(), MemoryStore()
    sources.lose(0, BATTERY | {"battery_percent": 101})
    sources.update(1, {"recorded_us": NOON + 1})
    sources.update(1, {"battery_percent": 42})
    sources.withdraw(1)
    engine(store).process(records(sources), epoch=1)
    assert store.live_reports() == sources.mart() == {}


def test_a_mart_that_was_emptied_by_hand_is_filled_by_a_replay() -> None:
    sources, store = owned(), MemoryStore()
    sources.insert(BATTERY)
    sources.insert({**BATTERY, "recorded_us": NOON - DAY})
    engine(store).process(records(sources), epoch=1)
    store.reports.clear()
    engine(store).process(records(sources), epoch=1)
    assert store.live_reports() == sources.mart()
    assert len(store.live_reports()) == 2


def test_every_report_of_a_batch_goes_on_from_its_stored_state() -> None:
    """More of them than are read from the store at once; one that was left out would be computed anew from raw, right but dear."""
    sources, store, done = owned(), MemoryStore(), 0
    for _ in range(2):
        for day in range(5):
            sources.insert({**BATTERY, "recorded_us": NOON - day * DAY})
        outcome = engine(store).process(records(sources)[done:], epoch=1)  # each a worker of its own: nothing is cached
        assert (outcome.reports, outcome.recomputed) == (5, 0)
        done = len(records(sources))
    assert store.live_reports() == sources.mart()
    assert len(store.live_reports()) == 5


def test_an_event_that_moves_to_another_day_leaves_the_day_it_was_in() -> None:
    sources, store = owned(), MemoryStore()
    moved = sources.insert(BATTERY)
    sources.insert(BATTERY)
    worker = engine(store)
    worker.process(records(sources), epoch=1)
    done = len(records(sources))
    sources.update(moved, {"recorded_us": NOON - DAY})
    worker.process(records(sources)[done:], epoch=1)
    assert store.live_reports() == sources.mart()
    assert len(store.live_reports()) == 2


def test_what_a_worker_remembers_of_an_earlier_assignment_is_not_used_again() -> None:
    """Its partition went to another worker, which folded on, and came back."""
    sources, store = owned(), MemoryStore()
    workers = [engine(store), engine(store)]
    done = 0
    for epoch in (1, 2, 3):
        sources.insert(BATTERY)
        workers[epoch % 2].process(records(sources)[done:], epoch=epoch)
        done = len(records(sources))
    assert store.live_reports() == sources.mart()


def test_an_insert_that_comes_again_after_its_event_moved_and_its_owner_changed_is_not_news() -> None:
    sources, store = owned(), MemoryStore()
    worker = engine(store)
    sources.insert(BATTERY)
    sources.update(1, {"recorded_us": NOON - DAY})
    worker.process(records(sources), epoch=1)
    for step in (lambda: sources.own(1, owner("v")), lambda: sources.redeliver(0)):
        known = len(records(sources))
        step()
        worker.process(records(sources)[known:], epoch=1)
    assert store.live_reports() == sources.mart()
    assert len(store.live_reports()) == 1


def after_a_crash_behind_raw(sources: Sources, store: MemoryStore, known: int) -> None:
    """The records from *known* on, by a worker that ends between raw and the reports, and by its successor."""
    dying = DiesAfterRaw()
    dying.__dict__.update(store.__dict__)
    with pytest.raises(StoreUnavailable):
        engine(dying).process(records(sources)[known:], epoch=1)
    engine(store).process(records(sources)[known:], epoch=1)


def test_a_snapshot_row_leaves_the_day_it_was_on_though_a_crash_came_right_after_raw() -> None:
    sources, store = owned(), MemoryStore()
    sources.insert(BATTERY)
    engine(store).process(records(sources), epoch=1)
    known = len(records(sources))
    sources.lose(1, {"recorded_us": NOON - DAY, "battery_percent": 40})
    sources.incremental_snapshot()
    after_a_crash_behind_raw(sources, store, known)
    assert store.live_reports() == sources.mart()
    assert len(store.live_reports()) == 1


def test_a_day_left_long_ago_is_corrected_though_the_worker_ended_after_the_new_day_was_written() -> None:
    """The two days lie in different windows of the recompute; the mark of the new day says nothing of the old one."""
    sources, store = owned(), MemoryStore()
    sources.own(1, [Ownership(NOON - 900 * DAY, None, "u", "u", "Name", "UTC", "u", "N")])
    sources.insert(BATTERY)
    engine(store).process(records(sources), epoch=1)
    known = len(records(sources))
    sources.lose(1, {"recorded_us": NOON - 400 * DAY})
    sources.incremental_snapshot()
    dying = Faults(store, 5, after=False)  # raw, the new day's announcement, its mart row, its state; the old day's mart row is the fifth
    with pytest.raises(StoreUnavailable):
        engine(dying).process(records(sources)[known:], epoch=1)
    assert len(store.live_reports()) == 2
    engine(store).process(records(sources)[known:], epoch=1)
    assert store.live_reports() == sources.mart()


@pytest.mark.parametrize("broken", [{"battery_percent": None}, {"battery_percent": 101}, {"kind": "nonsense"}])
def test_a_snapshot_row_that_has_become_invalid_takes_its_former_content_out(broken: dict[str, Any]) -> None:
    sources, store = owned(), MemoryStore()
    sources.insert(BATTERY)
    sources.insert(BATTERY)
    engine(store).process(records(sources), epoch=1)
    known = len(records(sources))
    sources.lose(1, BATTERY | broken)
    sources.incremental_snapshot()
    after_a_crash_behind_raw(sources, store, known)
    assert store.live_reports() == sources.mart()
    assert [report["event_count"] for report in store.live_reports().values()] == [1]


def test_a_worker_that_is_behind_leaves_out_what_a_rule_from_elsewhere_covers() -> None:
    """A generation that is being built reaches the command hours later; its raw must not be filled meanwhile."""
    sources, store = owned(), MemoryStore()
    worker = engine(store)
    first = [record for partition in sources.log for record in partition]
    worker.process(first, epoch=1)
    store.write_erasures([ErasureRule("1", "e", "s", ((NOON - DAY, NOON + DAY),), NOON, 1, True, "r", "id", 0, 10_000)])
    worker.reload_erasures()
    sources.insert(BATTERY)
    outcome = worker.process([record for partition in sources.log for record in partition][len(first) :], epoch=1)
    assert (outcome.erased, store.raw, store.live_reports()) == (1, {}, {})


def test_a_rule_is_stored_before_anything_else_is_written() -> None:
    """Else a worker that comes after a crash would write what the rule covers."""
    sources, store = owned(), MemoryStore()
    sources.insert(BATTERY)
    sources.erase(1, NOON - DAY, NOON + DAY)
    with pytest.raises(StoreUnavailable):
        engine(Faults(store, 1, after=True)).process([record for partition in sources.log for record in partition], epoch=1)  # type: ignore[arg-type]
    assert (len(store.rules), store.raw) == (1, {})


def test_a_snapshots_row_that_lies_in_an_erased_time_takes_its_former_self_away() -> None:
    """The change that moved the event there was lost: without this it would stay where it was."""
    sources, store = owned(), MemoryStore()
    event = sources.insert(BATTERY)
    sources.erase(1, NOON - 3 * DAY, NOON - 2 * DAY)
    sources.rows[event]["recorded_us"] = NOON - 2 * DAY - 1
    sources.incremental_snapshot()
    engine(store).process([record for partition in sources.log for record in partition], epoch=1)
    assert store.live_reports() == {} == sources.mart()


def test_an_event_that_moves_into_an_erased_time_is_deleted_where_it_was_and_written_nowhere() -> None:
    sources, store = owned(), MemoryStore()
    event = sources.insert(BATTERY)
    sources.erase(1, NOON - 3 * DAY, NOON - 2 * DAY)
    sources.update(event, {"recorded_us": NOON - 2 * DAY - 1})
    engine(store).process([record for partition in sources.log for record in partition], epoch=1)
    assert [(row["recorded_us"], row["deleted"]) for row in store.raw.values()] == [(NOON, 1)]
    assert store.live_reports() == {} == sources.mart()


def test_a_replayed_snapshot_row_does_not_take_the_place_of_what_came_later() -> None:
    sources, store = owned(), MemoryStore()
    event = sources.insert(BATTERY)
    sources.incremental_snapshot()
    sources.update(event, {"recorded_us": NOON - DAY})
    sources.snapshot()
    for _ in range(2):
        worker = engine(store)
        for record in records(sources):
            worker.process([record], epoch=1)
        assert store.live_reports() == sources.mart()
    assert [row["recorded_us"] for row in store.raw.values()] == [NOON - DAY]


class Counting(MemoryStore):
    """Counts how often raw is read for a recompute."""

    reads = 0

    def telemetry(self, *arguments: Any) -> Any:
        self.reads += 1
        return super().telemetry(*arguments)


def test_a_prosthesis_that_begins_with_its_owner_is_not_computed_anew() -> None:
    sources, store = owned(), Counting()
    sources.insert(BATTERY)
    outcome = engine(store).process(records(sources), epoch=1)
    assert (outcome.recomputed, outcome.folded, store.reads) == (0, 1, 0)
    assert store.live_reports() == sources.mart()


def test_a_report_of_events_from_before_their_first_owner_has_a_version_from_when_he_was_known() -> None:
    sources, store = Sources(), MemoryStore()
    sources.insert(BATTERY)
    sources.own(1, owner("u"))
    document = records(sources)[-1]
    engine(store).process(records(sources), epoch=1)
    assert store.live_reports() == sources.mart()
    assert [row["version"] for row in store.reports.values()] == [document.offset]


def test_days_that_raw_has_from_before_the_first_owner_are_his_though_the_log_goes_on_elsewhere() -> None:
    sources, store = Sources(), MemoryStore()
    sources.insert({**BATTERY, "recorded_us": NOON - DAY})
    engine(store).process(records(sources), epoch=1)
    done = len(records(sources))
    sources.own(1, owner("u"))
    sources.insert(BATTERY)
    engine(store).process(records(sources)[done:], epoch=1)
    assert store.live_reports() == sources.mart()
    assert len(store.live_reports()) == 2


def test_a_recompute_that_is_replayed_includes_the_log_up_to_its_own_place_and_no_more() -> None:
    sources, store = owned(), MemoryStore()
    sources.insert(BATTERY)
    sources.recompute(1)
    through_the_command = len(records(sources))
    sources.insert(BATTERY)
    engine(store).process(records(sources), epoch=1)
    store.reports.clear()
    store.state.clear()
    again = engine(store)
    again.process(records(sources)[:through_the_command], epoch=1)
    assert [row["event_count"] for row in store.live_reports().values()] == [1]
    again.process(records(sources)[through_the_command:], epoch=1)
    assert store.live_reports() == sources.mart()


def test_an_event_moves_to_the_neighbouring_day_with_its_owner() -> None:
    sources, store = owned(), MemoryStore()
    sources.insert(BATTERY)
    worker = engine(store)
    worker.process(records(sources), epoch=1)
    done = len(records(sources))
    sources.own(1, [msgspec.structs.replace(owner("u")[0], timezone="Pacific/Auckland")])
    worker.process(records(sources)[done:], epoch=1)
    assert store.live_reports() == sources.mart()
    assert [day.day for _, day, _ in store.live_reports()] == [5], "noon in UTC is the next day there"


def test_an_older_document_that_comes_again_changes_nothing() -> None:
    sources, store = owned(), MemoryStore()
    stale = sources.documents["1"]
    sources.insert(BATTERY)
    sources.own(1, owner("v"))
    worker = engine(store)
    worker.process(records(sources), epoch=1)
    done = len(records(sources))
    sources.resend_document(1, stale)
    worker.process(records(sources)[done:], epoch=1)
    assert store.live_reports() == sources.mart()
    assert [user for user, _, _ in store.live_reports()] == ["v"]


def test_a_replayed_recompute_writes_what_the_state_has_gone_on_to_include() -> None:
    sources, store = owned(), MemoryStore()
    sources.insert(BATTERY)
    sources.recompute(1)
    through_the_command = len(records(sources))
    sources.insert(BATTERY)
    engine(store).process(records(sources), epoch=1)
    store.reports.clear()
    engine(store).process(records(sources)[:through_the_command], epoch=1)
    assert store.live_reports() == sources.mart()


class DiesAfterOwnership(MemoryStore):
    """The process ends right after documents were stored."""

    def write_ownership(self, *arguments: Any) -> None:
        super().write_ownership(*arguments)
        raise StoreUnavailable("ended after ownership")


def test_reports_pass_to_a_new_owner_though_the_worker_ended_right_after_his_document_was_stored() -> None:
    sources, store = owned(), MemoryStore()
    sources.insert(BATTERY)
    engine(store).process(records(sources), epoch=1)
    done = len(records(sources))
    sources.own(1, owner("v"))
    dying = DiesAfterOwnership()
    dying.__dict__.update(store.__dict__)
    with pytest.raises(StoreUnavailable):
        engine(dying).process(records(sources)[done:], epoch=1)
    engine(store).process(records(sources)[done:], epoch=1)
    assert store.live_reports() == sources.mart()
    assert [user for user, _, _ in store.live_reports()] == ["v"]


def test_a_day_whose_state_is_gone_is_computed_from_raw_when_its_next_event_comes() -> None:
    sources, store = owned(), MemoryStore()
    sources.insert(BATTERY)
    engine(store).process(records(sources), epoch=1)
    done = len(records(sources))
    store.state.clear()
    sources.insert(BATTERY)
    engine(store).process(records(sources)[done:], epoch=1)
    assert store.live_reports() == sources.mart()
    assert [row["event_count"] for row in store.live_reports().values()] == [2]


class SometimesAway(MemoryStore):
    away = False

    def write_telemetry(self, *arguments: Any) -> None:
        if self.away:
            raise StoreUnavailable("away")
        super().write_telemetry(*arguments)


@pytest.mark.parametrize("epoch", [1, 2], ids=["after a failure", "after a rebalance"])
def test_tables_that_went_back_under_a_worker_end_it_before_it_writes_anything(epoch: int) -> None:
    """Its progress would soon hide that what lies between the backup and now is missing."""
    sources, store = owned(), SometimesAway()
    working = engine(store)
    working.process(records(sources), epoch=1)
    backup = copy.deepcopy(store.__dict__)
    known = len(records(sources))
    sources.insert(BATTERY)
    working.process(records(sources)[known:], epoch=1)
    known = len(records(sources))
    sources.insert(BATTERY)
    if epoch == 1:
        store.away = True
        with pytest.raises(StoreUnavailable):
            working.process(records(sources)[known:], epoch)
    store.__dict__.update(copy.deepcopy(backup) | {"away": False})
    with pytest.raises(StoreUnusable, match="went back"):
        working.process(records(sources)[known:], epoch)
    assert store.__dict__ == backup | {"away": False}


def test_so_they_do_before_it_has_stored_anything_of_what_it_was_assigned() -> None:
    """Its positions were looked at, and after that the backup was put back: what lies between had been stored by the worker before it."""
    sources, store = owned(), MemoryStore()
    backup = copy.deepcopy(store.__dict__)
    engine(store).process(records(sources), epoch=1)
    known = len(records(sources))
    successor = engine(store)
    successor.expect({row.partition: row.handled_offset for row in store.progress("log")})
    store.__dict__.update(copy.deepcopy(backup))
    sources.insert(BATTERY)
    with pytest.raises(StoreUnusable, match="went back"):
        successor.process(records(sources)[known:], epoch=2)
    assert store.__dict__ == backup

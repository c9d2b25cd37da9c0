"""Days whose raw telemetry may have expired are closed; deletes of a retention job are no corrections."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from schemas.commands import Recompute, encode_command
from schemas.keys import partition_of
from schemas.mapping import SourceMapping
from schemas.ownership import Ownership
from schemas.retention import Retention
from stream_processor.domain.calendar import day_number
from stream_processor.domain.retention import REASON
from stream_processor.engine import Engine, EngineSettings
from stream_processor.outcome import Outcome
from tests.support.log_model import PARTITIONS, LogRecord, Sources, micro
from tests.support.memory_store import MemoryStore

DAY = 86_400_000_000
OLD, OPEN = micro(datetime(2026, 5, 4, 12, tzinfo=UTC)), micro(datetime(2026, 5, 20, 12, tzinfo=UTC))
FIRST_OPEN = day_number(date(2026, 5, 10))


def signal(at: int) -> dict[str, Any]:
    return {
        "kind": "signal",
        "amplitude_uv": 5,
        "movement_recognised": True,
        "active_ms": 1000,
        "prosthesis_id": 1,
        "recorded_us": at,
    }


class Case:
    """One prosthesis with one owner; ``handle`` brings the engine up to the log's end."""

    def __init__(self) -> None:
        self.sources = Sources()
        self.store = MemoryStore()
        self.sources.own(1, [owner("u")])
        self._handled = [0] * PARTITIONS

    def handle(self, first_open: int | None = None, source_days: int | None = None) -> Outcome:
        settings = EngineSettings("log", "id", PARTITIONS, first_open_day=lambda: first_open, source_days=source_days)
        records = [record for p, log in enumerate(self.sources.log) for record in log[self._handled[p] :]]
        self._handled = [len(log) for log in self.sources.log]
        return Engine(self.store, SourceMapping.read(), settings).process(records, epoch=1)

    def expire(self) -> None:
        """What ClickHouse's TTL does with raw of closed days."""
        self.store.remove_raw([event_id for event_id, row in self.store.raw.items() if row["recorded_us"] < FIRST_OPEN * DAY])

    def command(self, command: Recompute) -> None:
        key = b"1"
        partition = partition_of(key, PARTITIONS)
        log = self.sources.log[partition]
        log.append(LogRecord(partition, len(log), key, encode_command(command)))

    def events(self) -> dict[date, int]:
        return {day: row["event_count"] for (_, day, _), row in self.store.live_reports().items()}


def owner(user: str) -> Ownership:
    return Ownership(OLD - 9 * DAY, None, user, user, "Name", "UTC", user, "N")


@pytest.fixture
def world() -> Case:
    """Two events of an old and one of an open day, all in their reports; then raw of the old day expires."""
    world = Case()
    for at in (OLD, OLD + 1, OPEN):
        world.sources.insert(signal(at))
    world.handle()
    world.expire()
    assert world.events() == {date(2026, 5, 4): 2, date(2026, 5, 20): 1}
    return world


def reasons(outcome: Outcome) -> list[str]:
    return [letter.reason for letter in outcome.dead]


def test_a_recompute_leaves_closed_days_as_they_are_and_says_how_many(world: Case) -> None:
    world.command(Recompute(command_id="c", prosthesis_id="1", from_date=date(2026, 5, 1), to_date=date(2026, 5, 21), reason="test"))
    outcome = world.handle(FIRST_OPEN)
    assert world.events() == {date(2026, 5, 4): 2, date(2026, 5, 20): 1}
    assert outcome.closed_days == 9


def test_a_new_owner_gets_the_open_days_and_none_that_is_closed(world: Case) -> None:
    world.sources.own(1, [owner("v")])
    world.handle(FIRST_OPEN)
    assert {(user, day) for user, day, _ in world.store.live_reports()} == {("u", date(2026, 5, 4)), ("v", date(2026, 5, 20))}


def test_a_late_insert_into_a_closed_day_is_a_dead_letter(world: Case) -> None:
    world.sources.insert(signal(OLD + 2))
    world.sources.insert(signal(OPEN + 2))
    assert reasons(world.handle(FIRST_OPEN)) == [REASON]
    assert world.events() == {date(2026, 5, 4): 2, date(2026, 5, 20): 2}


def test_an_update_and_a_delete_in_a_closed_day_are_dead_letters(world: Case) -> None:
    world.sources.update(1, {"active_ms": 5})
    world.sources.delete(2)
    assert reasons(world.handle(FIRST_OPEN)) == [REASON, REASON]
    assert world.events() == {date(2026, 5, 4): 2, date(2026, 5, 20): 1}


def test_an_event_that_moves_out_of_a_closed_day_comes_into_the_open_one_and_is_told(world: Case) -> None:
    world.sources.update(1, {"recorded_us": OPEN + 5})
    assert reasons(world.handle(FIRST_OPEN)) == [REASON]
    assert world.events() == {date(2026, 5, 4): 2, date(2026, 5, 20): 2}


@pytest.mark.parametrize("incremental", [True, False])
def test_rows_of_a_snapshot_in_closed_days_are_no_news(world: Case, incremental: bool) -> None:
    if incremental:
        world.sources.incremental_snapshot()
    else:
        world.sources.snapshot()
    assert reasons(world.handle(FIRST_OPEN)) == []
    assert world.events() == {date(2026, 5, 4): 2, date(2026, 5, 20): 1}


def test_deletes_of_what_was_old_when_it_was_deleted_are_a_purge_and_others_a_correction(world: Case) -> None:
    world.sources.delete(1)
    world.sources.delete(3)
    # The model's clock stands in 2027: both are older than 30 days, one is younger than 235.
    assert world.handle(source_days=30).purged == 2
    assert world.events() == {date(2026, 5, 4): 2, date(2026, 5, 20): 1}


def test_a_delete_younger_than_the_sources_retention_is_a_correction(world: Case) -> None:
    world.sources.delete(3)
    assert world.handle(source_days=3650).purged == 0
    assert world.events() == {date(2026, 5, 4): 2}


def test_without_a_retention_every_day_is_open_and_every_delete_a_correction(world: Case) -> None:
    world.sources.delete(3)
    assert reasons(world.handle()) == []
    assert world.events() == {date(2026, 5, 4): 2}


def test_open_days_end_before_raw_expires_and_verification_begins_after_both_borders() -> None:
    today = date(2026, 11, 23)
    kept = Retention(raw_days=30, source_days=60)
    assert kept.first_open(today) == date(2026, 10, 24)
    assert kept.first_verifiable(today) == date(2026, 10, 27)
    assert Retention(source_days=20).first_verifiable(today) == date(2026, 11, 6)
    assert Retention().first_verifiable(today) is Retention().first_open(today) is None


def test_a_row_that_only_the_mart_has_is_taken_back_where_a_recompute_names_it(world: Case) -> None:
    by_hand = dict(next(iter(world.store.reports.values()))) | {"report_date": date(2026, 5, 22)}
    world.store.reports["u", date(2026, 5, 22), "1"] = by_hand
    days = {"from_date": date(2026, 5, 22), "to_date": date(2026, 5, 22)}
    world.command(Recompute(command_id="c", prosthesis_id="1", reason="test", **days))
    world.handle()
    assert date(2026, 5, 22) in world.events()
    world.command(Recompute(command_id="c", prosthesis_id="1", reports=(("u", date(2026, 5, 22)),), reason="test", **days))
    world.handle()
    assert world.events() == {date(2026, 5, 4): 2, date(2026, 5, 20): 1}


def test_a_recompute_for_another_generation_is_not_ours(world: Case) -> None:
    world.store.state.clear()
    world.store.reports.clear()
    world.command(Recompute(command_id="c", prosthesis_id="1", generation=2, reason="test"))
    assert world.handle().recomputed == 0
    world.command(Recompute(command_id="c", prosthesis_id="1", generation=1, reason="test"))
    assert world.handle().recomputed > 0

"""A worker that has lost its partition goes on with the batch that it had begun, and what it writes arrives after all that its successor wrote.

It had a part of the records only. Whatever report they led to has to be below what its successor wrote of the same report.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from schemas.mapping import SourceMapping
from schemas.ownership import Ownership
from stream_processor.engine import Engine, EngineSettings
from tests.support.log_model import PARTITIONS, LogRecord, Sources, micro
from tests.support.memory_store import MemoryStore

NOON = micro(datetime(2026, 5, 4, 12, tzinfo=UTC))
DAY = 86_400_000_000
BATTERY: dict[str, Any] = {"kind": "battery", "battery_percent": 50, "prosthesis_id": 1, "recorded_us": NOON}


class Recorder(MemoryStore):
    """What is written here can be written to another store later."""

    def __init__(self, of: MemoryStore) -> None:
        super().__init__()
        self.__dict__.update(copy.deepcopy(of.__dict__))
        self.written: list[tuple[str, tuple[Any, ...]]] = []

    def write_telemetry(self, *arguments: Any) -> None:
        self._write("write_telemetry", arguments)

    def write_states(self, *arguments: Any) -> None:
        self._write("write_states", arguments)

    def write_reports(self, *arguments: Any) -> None:
        self._write("write_reports", arguments)

    def write_ownership(self, *arguments: Any) -> None:
        self._write("write_ownership", arguments)

    def _write(self, name: str, arguments: tuple[Any, ...]) -> None:
        self.written.append((name, arguments))
        getattr(MemoryStore, name)(self, *arguments)

    def arrive_at(self, store: MemoryStore) -> None:
        for name, arguments in self.written:
            getattr(store, name)(*arguments)


def owner(user: str, zone: str = "UTC", starts_us: int = NOON - 9 * DAY) -> list[Ownership]:
    return [Ownership(starts_us, None, user, user, "Name", zone, user, "N")]


def engine(store: MemoryStore) -> Engine:
    return Engine(store, SourceMapping.read(), EngineSettings("log", "id", PARTITIONS))


def records(sources: Sources) -> list[LogRecord]:
    return [record for partition in sources.log for record in partition]


def deleted(sources: Sources) -> None:
    sources.delete(sources.insert(BATTERY))


def moved(sources: Sources) -> None:
    sources.update(sources.insert(BATTERY), {"recorded_us": NOON + 2 * DAY})


def moved_by_a_snapshot(sources: Sources) -> None:
    event = sources.insert(BATTERY)
    sources.rows[event]["recorded_us"] = NOON + 2 * DAY
    sources.incremental_snapshot()


def moved_twice(sources: Sources) -> None:
    """The first event, which both workers know."""
    sources.update(1, {"recorded_us": NOON + 2 * DAY})
    sources.update(1, {"recorded_us": NOON + 4 * DAY})


def another_owner(sources: Sources) -> None:
    sources.insert(BATTERY)
    sources.own(1, owner("v"))


def an_owner_in_between(sources: Sources) -> None:
    sources.insert(BATTERY)
    sources.own(1, owner("v"))
    sources.own(1, owner("w"))


def another_zone(sources: Sources) -> None:
    sources.insert(BATTERY | {"recorded_us": NOON + 11 * 3_600_000_000})
    sources.own(1, owner("u", "Asia/Kolkata"))


def a_shorter_contract(sources: Sources) -> None:
    sources.insert(BATTERY)
    sources.own(1, owner("u", starts_us=NOON + 1))


def an_owner_of_what_went(sources: Sources) -> None:
    event = sources.insert(BATTERY)
    sources.own(1, owner("v"))
    sources.delete(event)
    sources.own(1, owner("w"))


SAID = (
    deleted,
    moved,
    moved_by_a_snapshot,
    moved_twice,
    another_owner,
    an_owner_in_between,
    another_zone,
    a_shorter_contract,
    an_owner_of_what_went,
)


@pytest.mark.parametrize("said", SAID)
def test_what_an_overtaken_worker_still_writes_is_below_what_its_successor_wrote(said: Callable[[Sources], None]) -> None:
    sources, store = Sources(), MemoryStore()
    sources.own(1, owner("u"))
    sources.insert(BATTERY | {"recorded_us": NOON - 5 * DAY})
    engine(store).process(records(sources), epoch=1)
    known = len(records(sources))
    said(sources)
    news = records(sources)[known:]
    for handled in range(1, len(news)):
        overtaken, there = Recorder(store), MemoryStore()
        engine(overtaken).process(news[:handled], epoch=1)
        engine(there).process(records(sources)[:known], epoch=1)
        engine(there).process(news, epoch=2)
        overtaken.arrive_at(there)
        assert there.live_reports() == sources.mart(), handled

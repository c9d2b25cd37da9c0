"""A batch is planned before anything is written: what the plan says, that planning changes nothing, and that a failure leaves nothing remembered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from schemas.mapping import SourceMapping
from stream_processor.assignment import Assignment
from stream_processor.batch import place
from stream_processor.domain.decode import LogDecoder
from stream_processor.domain.fold import FOLD_FORMAT
from stream_processor.gather import gather
from stream_processor.outcome import Outcome
from stream_processor.plan import InvariantBroken, Plan, make_plan
from stream_processor.ports import StoreUnavailable
from tests.support.log_model import PARTITIONS, Sources
from tests.support.memory_store import MemoryStore
from tests.unit.test_engine_scenarios import BATTERY, engine, owned, owner, records


def steps(store: MemoryStore, batch: Sequence[Any]) -> tuple[Any, Any]:
    """The batch and what was gathered for it, by a worker that remembers nothing."""
    assignment = Assignment(1, store, partitions=PARTITIONS, cached_states=50, integer_ids=True)  # type: ignore[arg-type]
    decoded = LogDecoder(SourceMapping.read()).decode(batch)
    placed = place(decoded, assignment.devices, assignment.unfinished, Outcome(dead=decoded.dead), lambda _: True)
    return placed, gather(placed, assignment, "log", "id")


def planned(store: MemoryStore, batch: Sequence[Any]) -> Plan:
    return make_plan(*steps(store, batch))


def prepared(sources: Sources) -> tuple[MemoryStore, int]:
    """A store that has what *sources* have said so far, and how many records that was."""
    store = MemoryStore()
    engine(store).process(records(sources), epoch=1)
    return store, len(records(sources))


def test_a_new_event_is_appended_and_a_deleted_one_changes_its_prosthesis() -> None:
    sources = owned()
    store, known = prepared(sources)
    event = sources.insert(BATTERY)
    appended = planned(store, records(sources)[known:]).told()
    assert [identity[2] for identity in appended["folded"]] == [event]
    assert [user for _, _, user in appended["appended"]] == ["u"]
    assert appended["pending"] == {}
    engine(store).process(records(sources)[known:], epoch=2)
    known = len(records(sources))
    sources.delete(event)
    changed = planned(store, records(sources)[known:]).told()
    assert (changed["folded"], changed["appended"]) == ([], [])
    assert [(low, deleted) for _, _, low, _, deleted in changed["raw"]] == [(event, True)]
    assert [work.instants for work in changed["pending"].values()] == [[BATTERY["recorded_us"]]]


def test_planning_writes_nothing_and_plans_the_same_again() -> None:
    sources = owned()
    sources.insert(BATTERY)
    store, known = prepared(sources)
    sources.insert(BATTERY)
    sources.incremental_snapshot()
    sources.own(1, owner("v"))
    written = dict(store.__dict__, lookups=0)
    batch, gathered = steps(store, records(sources)[known:])
    first, second = make_plan(batch, gathered).told(), make_plan(batch, gathered).told()
    assert first == second
    assert dict(store.__dict__, lookups=0) == written


def test_an_event_that_its_state_includes_cannot_be_planned_to_be_folded() -> None:
    sources = owned()
    store, known = prepared(sources)
    sources.insert(BATTERY)
    batch, gathered = steps(store, records(sources)[known:])
    wrong = replace(gathered, folded_to=np.full(len(gathered.row), 1 << 40))
    with pytest.raises(InvariantBroken, match="folded again"):
        make_plan(batch, wrong)


class FailsOnce(MemoryStore):
    """The store is away when the states of a batch are written, once: what was folded is in the cache and nowhere else."""

    def __init__(self) -> None:
        super().__init__()
        self.armed = False

    def write_reports(self, columns: Any) -> None:
        if self.armed:
            self.armed = False
            raise StoreUnavailable("away")
        super().write_reports(columns)


def test_after_a_failure_the_same_engine_begins_from_what_the_store_has() -> None:
    sources, store = owned(), FailsOnce()
    working = engine(store)
    working.process(records(sources), epoch=1)
    sources.insert(BATTERY)
    working.process(records(sources)[1:], epoch=1)
    known = len(records(sources))
    sources.own(1, owner("v"))  # its recompute is what fails: taken for done, the reports would stay the former owner's
    sources.insert(BATTERY | {"battery_percent": 40})
    store.armed = True
    with pytest.raises(StoreUnavailable):
        working.process(records(sources)[known:], epoch=1)
    working.process(records(sources)[known:], epoch=1)
    assert store.live_reports() == sources.mart()
    assert [user for user, _, _ in store.live_reports()] == ["v"]
    assert {state.fold_format for state in store.state.values()} == {FOLD_FORMAT}

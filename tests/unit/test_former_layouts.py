"""States whose layout is a former one: what they say of a report is computed again from raw, and that there is a report is not forgotten."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from stream_processor.domain.fold import FOLD_FORMAT
from tests.support.log_model import Sources
from tests.support.memory_store import MemoryStore
from tests.unit.test_engine_scenarios import BATTERY, engine, owned, owner, records


@pytest.fixture
def sources() -> Sources:
    sources = owned()
    sources.insert(BATTERY)
    sources.insert(BATTERY | {"battery_percent": 40})
    return sources


def upgraded(sources: Sources) -> MemoryStore:
    """A store whose states an older worker wrote."""
    store = MemoryStore()
    engine(store).process(records(sources), epoch=1)
    former = {key: replace(state, fold_format=FOLD_FORMAT - 1, fold=state.fold[:-8]) for key, state in states_of(store).items()}
    states_of(store).update(former)
    return store


def states_of(store: MemoryStore) -> dict[Any, Any]:
    return store.state


def test_an_event_that_comes_after_the_layout_changed_finds_what_was_there(sources: Sources) -> None:
    store = upgraded(sources)
    known = len(records(sources))
    sources.insert(BATTERY | {"battery_percent": 30})
    engine(store).process(records(sources)[known:], epoch=2)
    assert store.live_reports() == sources.mart()
    assert {state.fold_format for state in states_of(store).values()} == {FOLD_FORMAT}


def test_a_report_of_a_former_layout_is_taken_back_where_its_owner_changes(sources: Sources) -> None:
    store = upgraded(sources)
    known = len(records(sources))
    sources.own(1, owner("v"))
    engine(store).process(records(sources)[known:], epoch=2)
    assert store.live_reports() == sources.mart()
    assert [user for user, _, _ in store.live_reports()] == ["v"]


def test_a_redelivered_event_is_not_counted_twice_after_the_layout_changed(sources: Sources) -> None:
    store = upgraded(sources)
    engine(store).process(records(sources), epoch=2)
    assert store.live_reports() == sources.mart()

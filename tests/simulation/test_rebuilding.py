"""A generation that is built beside the one that readers see. Each promise with the planted fault that shows that it would be seen."""

from __future__ import annotations

from collections.abc import Iterator
from unittest.mock import patch

import pytest

from eraser.rules import State
from tests.simulation import running
from tests.simulation.shrink import kind
from tests.simulation.test_losses_and_erasures import LOSS_S, run, said
from tests.support.memory_eraser import MemoryTables

pytestmark = pytest.mark.timeout(900)

SOURCES = {"PostgreSQL": 1.0, "the tables": 0.0}
BESIDE = (LOSS_S, "rebuild beside")
MEANWHILE = [(LOSS_S + 0.3 + i / 10, what) for i, what in enumerate(("insert", "update", "contract", "move", "delete", "user"))]
GONE = [(LOSS_S + i / 10, "forget customer") for i in range(8)]


@pytest.fixture(autouse=True)
def edges() -> Iterator[None]:
    with running.replaced_edges():
        yield


@pytest.fixture(params=SOURCES)
def source(request: pytest.FixtureRequest) -> Iterator[str]:
    name: str = request.param
    with patch("tests.simulation.rebuilding.HALF", SOURCES[name]):
        yield name


def test_readers_see_it_once_it_is_equal(source: str) -> None:
    verdict = run(BESIDE, *MEANWHILE)
    assert verdict.error is None
    assert said(verdict, f"rebuild beside, from {source}") == 1
    assert said(verdict, "readers see generation 2") == 1


def test_what_nobody_was_told_of_the_crm_is_waited_for(source: str) -> None:
    """Seed 20015558 of the mix brief: nobody can have it before the rows are read again."""
    lost = [(LOSS_S + 2 + i / 10, "lose crm") for i in range(4)]
    with patch("tests.simulation.operations.READ_AGAIN_S", 60.0):
        verdict = run(BESIDE, *MEANWHILE, *lost)
    assert verdict.error is None, source


def test_what_is_erased_meanwhile_is_in_neither(source: str) -> None:
    verdict = run(BESIDE, *MEANWHILE, *GONE)
    assert verdict.error is None
    assert said(verdict, f"rebuild beside, from {source}") == 1
    assert said(verdict, "eraser: remove")


def test_one_that_does_not_come_to_see_what_happened_meanwhile_would_be_seen(source: str) -> None:
    with patch("tests.simulation.world.World.is_behind_the_sources", lambda *_: False):
        assert kind(run(BESIDE, *MEANWHILE)) == "mart", source


def test_one_that_folds_nothing_of_the_copy_would_be_seen() -> None:
    with patch("tests.simulation.rebuilding.HALF", 0.0), patch("tests.simulation.rebuilding.recomputes", lambda *_: []):
        assert kind(run(BESIDE)) == "mart"


def test_an_eraser_that_leaves_out_the_former_one_would_be_seen(source: str) -> None:
    every = MemoryTables.generations
    with patch.object(MemoryTables, "generations", lambda of, rule: [one for one in every(of, rule) if one.state is State.SERVING]):
        assert kind(run(BESIDE, *MEANWHILE, *((29.0 + i / 10, "forget customer") for i in range(8)))) == "erasures", source

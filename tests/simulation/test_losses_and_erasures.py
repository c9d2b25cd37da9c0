"""What loses data ends loudly and is healed; what is erased is nowhere. Each with the planted fault that shows that it would be seen."""

from __future__ import annotations

from collections.abc import Iterator
from unittest.mock import patch

import pytest

from tests.simulation import running
from tests.simulation.running import Verdict
from tests.simulation.schedule import Operation, Schedule
from tests.simulation.shrink import kind

pytestmark = pytest.mark.timeout(900)

BEGIN_S, LOSS_S = 4.0, 12.0


@pytest.fixture(autouse=True)
def edges() -> Iterator[None]:
    with running.replaced_edges():
        yield


def run(*operations: tuple[float, str]) -> Verdict:
    """One worker, telemetry at the beginning and after the operations, and *operations*: (second, what)."""
    times = [BEGIN_S + i * 0.3 for i in range(10)] + [20.0]
    work = [(at, "insert") for at in times] + list(operations)
    made = tuple(Operation(at, what, f"directed/{i}") for i, (at, what) in enumerate(sorted(work)))
    return running.run(Schedule(1, 1, made), keep=True)


def said(verdict: Verdict, text: str) -> int:
    return sum(text in line for line in verdict.trace or [])


LOSSES = {
    "expire": [(LOSS_S - 0.9, "pause"), (LOSS_S - 0.8, "insert"), (LOSS_S, "expire")],
    "make anew": [(LOSS_S, "make anew")],
    "restore": [(BEGIN_S + 1, "back up"), (LOSS_S, "restore")],
}


@pytest.mark.parametrize("loss", LOSSES)
def test_what_was_lost_ends_with_78_and_is_healed_by_the_operator(loss: str) -> None:
    verdict = run(*LOSSES[loss])
    assert verdict.error is None
    assert said(verdict, "lost: ") == 1
    assert said(verdict, "ends with 78") == 1
    assert said(verdict, "rebuild") + said(verdict, "is reset") == 1


@pytest.mark.parametrize("loss", LOSSES)
def test_a_worker_that_went_on_after_a_loss_would_be_seen(loss: str) -> None:
    with (
        patch("stream_processor.app.check_positions", lambda *_, **__: None),
        patch("stream_processor.app.Processor._check_positions", lambda _: None),
        patch("stream_processor.watchdog.Watchdog.check_identities", lambda _: None),
    ):
        assert kind(run(*LOSSES[loss])) == "losses"


def test_after_postgresql_went_back_a_rebuild_makes_all_right() -> None:
    verdict = run((BEGIN_S + 1, "back up"), (LOSS_S, "go back"), (LOSS_S + 1, "insert"), (LOSS_S + 2, "update"))
    assert verdict.error is None
    assert said(verdict, "rebuild") == 1


def test_without_the_rebuild_it_would_be_seen() -> None:
    with patch("tests.simulation.losses.Losses._rebuild", lambda _: None):
        assert kind(run((BEGIN_S + 1, "back up"), (LOSS_S, "go back"), (LOSS_S + 1, "insert"))) == "mart"


GONE = [(8.0 + i / 10, "forget customer") for i in range(8)]


def test_of_deleted_customers_nothing_is_left() -> None:
    verdict = run(*GONE)
    assert verdict.error is None
    assert said(verdict, "eraser: remove")


STAY = [(8.0 + i / 10, "erase") for i in range(8)]


@pytest.mark.parametrize(("forgotten", "asked"), [("_telemetry", GONE), ("_reports", STAY), ("_empty", GONE), ("_documents", GONE)])
def test_an_eraser_that_leaves_something_behind_would_be_seen(forgotten: str, asked: list[tuple[float, str]]) -> None:
    with patch(f"eraser.removal.{forgotten}", lambda *_: iter(())):
        assert kind(run(*asked)) == "erasures"


def test_an_eraser_that_does_not_come_to_an_end_would_be_seen() -> None:
    with patch("eraser.work.Work._finish", lambda *_: False):
        assert kind(run(*GONE)) == "progress"

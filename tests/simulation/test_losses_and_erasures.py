"""What loses data ends loudly and is healed; what is erased is nowhere. Each with the planted fault that shows that it would be seen."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from unittest.mock import patch

import pytest

from tests.simulation import running
from tests.simulation.operations import OUTAGES_S
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
    "make the crms topic anew": [(LOSS_S - 0.1, "contract"), (LOSS_S, "make the crms topic anew")],
}


@pytest.mark.parametrize("loss", LOSSES)
def test_what_was_lost_ends_with_78_and_is_healed_by_the_operator(loss: str) -> None:
    verdict = run(*LOSSES[loss])
    assert verdict.error is None
    assert said(verdict, "lost: ") == 1
    assert said(verdict, "ends with 78") == 1
    assert said(verdict, "rebuild") + said(verdict, "is set back") == 1


@pytest.mark.parametrize("loss", LOSSES)
def test_a_worker_that_went_on_after_a_loss_would_be_seen(loss: str) -> None:
    with (
        patch("stream_processor.app.check_positions", lambda *_, **__: {}),
        patch("stream_processor.app.Processor._check_positions", lambda _: None),
        patch("stream_processor.watchdog.Watchdog.check_identities", lambda _: None),
    ):
        assert kind(run(*LOSSES[loss])) == "losses"


@pytest.mark.parametrize("seed", [0, 3, 6, 8])
def test_a_worker_at_work_on_what_has_expired_since_is_waited_for(seed: int) -> None:
    """Seed 10028835 of the mix brief: over a slow store it takes longer than until the simulation looks whether all is handled."""
    work = [Operation(5.0 + i / 50, "insert", str(i)) for i in range(14)]
    work += [Operation(7.8 + i / 50, what, str(i)) for i in range(5) for what in ("contract", "move", "hand over")]
    slow = Schedule(seed, 1, (*work, Operation(9.0, "expire while they run", "x")), in_parts=True, call_s=0.2)
    with patch("tests.simulation.world.AWAKE_S", 0.1):
        assert running.run(slow).error is None


# The store is away from the beginning until after the loss.
AWAY = next(seed for seed in map(str, range(99)) if Random(seed).choice(OUTAGES_S) == max(OUTAGES_S))
NEVER_HANDLED = (
    Operation(0.1, "outage", AWAY),
    *(Operation(5.0, "insert", str(i)) for i in range(9)),
    Operation(LOSS_S, "expire", "expire"),
)


def test_records_that_expire_before_anything_was_ever_committed_end_it_too() -> None:
    """Seed 5000150: of a partition without a commit the worker began at what was left of the log, and nobody was told."""
    verdict = running.run(Schedule(1, 1, NEVER_HANDLED), keep=True)
    assert verdict.error is None
    assert (said(verdict, "ends with 78"), said(verdict, "rebuild")) == (1, 1)


def test_a_worker_that_begins_at_what_is_left_would_be_seen() -> None:
    with patch("stream_processor.app.check_positions", lambda *_, **__: {}):
        assert kind(running.run(Schedule(1, 1, NEVER_HANDLED))) == "losses"


def test_after_postgresql_went_back_a_rebuild_makes_all_right() -> None:
    verdict = run((BEGIN_S + 1, "back up"), (LOSS_S, "go back"), (LOSS_S + 1, "insert"), (LOSS_S + 2, "update"))
    assert verdict.error is None
    assert said(verdict, "rebuild") == 1


def test_without_the_rebuild_it_would_be_seen() -> None:
    with patch("tests.simulation.rebuilding.Rebuilding.in_place", lambda *_, **__: None):
        assert kind(run((BEGIN_S + 1, "back up"), (LOSS_S, "go back"), (LOSS_S + 1, "insert"))) == "mart"


GONE = [(8.0 + i / 10, "forget customer") for i in range(8)]


def test_of_deleted_customers_nothing_is_left() -> None:
    verdict = run(*GONE)
    assert verdict.error is None
    assert said(verdict, "eraser: remove")


STAY = [(8.0 + i / 10, "erase") for i in range(8)]


@pytest.mark.parametrize(
    ("forgotten", "asked"),
    [("removal._telemetry", GONE), ("removal._reports", STAY), ("work.empty_rows", GONE), ("removal._documents", GONE)],
)
def test_an_eraser_that_leaves_something_behind_would_be_seen(forgotten: str, asked: list[tuple[float, str]]) -> None:
    with patch(f"eraser.{forgotten}", lambda *_, **__: iter(())):
        assert kind(run(*asked)) == "erasures"


def test_an_eraser_that_does_not_come_to_an_end_would_be_seen() -> None:
    with patch("eraser.work.Work._finish", lambda *_: False):
        assert kind(run(*GONE)) == "progress"


LATE_S = 29.0  # after the operator has acted
FORMER = [
    *((8.0 + i / 10, "drop contract") for i in range(3)),
    (11.0, "compact"),
    (LOSS_S, "rebuild"),
    *((LATE_S + i / 10, "forget customer") for i in range(8)),
]


def test_what_a_contract_brought_that_was_deleted_before_a_rebuild_goes_with_its_customer() -> None:
    verdict = run(*FORMER)
    assert verdict.error is None
    assert said(verdict, "rebuild") == 2  # the operation, and what is done


def test_a_rebuild_that_leaves_behind_what_the_directory_knows_would_be_seen() -> None:
    with patch("tests.simulation.rebuilding.Rebuilding._take_over_the_directory", lambda *_, **__: None):
        assert kind(run(*FORMER)) == "erasures"


STILL = [(LOSS_S - 2 + i / 100, "pause") for i in range(4)]  # the worker's is among them
UNTOLD = [*STILL, *((LOSS_S - 1.9 + i / 100, "forget customer") for i in range(6)), (LOSS_S, "make the crms topic anew")]


def test_customers_whose_end_was_lost_with_the_topic_are_erased_by_the_rebuild() -> None:
    verdict = run(*UNTOLD)
    assert verdict.error is None


def test_a_rebuild_that_takes_back_nothing_would_be_seen() -> None:
    with patch("tests.simulation.sources.Crm.take_back", lambda *_: None):
        assert kind(run(*UNTOLD)) == "erasures"


NIGHTS = [(8.0, "night"), (15.0, "night"), (22.0, "night")]


def test_a_tombstone_tells_what_compaction_has_taken_the_delete_of() -> None:
    assert run(*NIGHTS).error is None


def test_a_directory_that_passes_over_tombstones_would_be_seen() -> None:
    with patch("stream_processor.domain.directory.Directory.end_of", lambda *_: None):
        assert kind(run(*NIGHTS)) in {"mart", "erasures"}


EXPIRED = [*STILL, *((LOSS_S - 1.8 + i / 100, "insert") for i in range(9)), (LOSS_S, "expire while they run")]


def test_records_that_expire_under_a_worker_that_lags_end_it() -> None:
    verdict = run(*EXPIRED)
    assert verdict.error is None
    assert said(verdict, "ends with 78") == 1


def test_a_worker_that_goes_on_behind_expired_records_would_be_seen() -> None:
    with (
        patch("tests.simulation.client.records_are_lost", lambda *_: None),
        patch("stream_processor.app.check_positions", lambda *_, **__: {}),
    ):
        assert kind(run(*EXPIRED)) == "mart"


@pytest.mark.parametrize("loss", ["fail over", "crm goes back"])
def test_a_source_that_lacks_what_was_told_is_made_good_by_a_rebuild(loss: str) -> None:
    lately = [(LOSS_S - 0.5, "insert"), (LOSS_S - 0.4, "update"), (LOSS_S - 0.3, "contract"), (LOSS_S - 0.2, "customer")]
    verdict = run((LOSS_S - 1, "back up"), *lately, (LOSS_S, loss), (LOSS_S + 1, "insert"))
    assert verdict.error is None
    assert said(verdict, "rebuild") == 1

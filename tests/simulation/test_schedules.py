"""Schedules by seed: fixed ones, fresh ones, and the rules that the simulation itself follows."""

from __future__ import annotations

import subprocess
import sys
from unittest.mock import patch

import pytest

from stream_processor import apply
from tests.simulation import running, shrink
from tests.simulation.schedule import schedule

pytestmark = pytest.mark.timeout(900)

FIXED, FRESH = 250, 150
ALIKE = 12


def simulate(*arguments: str) -> str:
    """What the command says. It runs in a process of its own, whose hashes of texts are always the same."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.simulation", *arguments]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=850, check=False)
    assert finished.returncode == 0, (finished.stdout + finished.stderr)[-12_000:]
    return finished.stdout


def test_fixed_schedules_hold_every_invariant() -> None:
    assert f"{FIXED} schedules" in simulate("--seed", "0", "--schedules", str(FIXED))


def test_fresh_schedules_hold_every_invariant() -> None:
    said = simulate("--schedules", str(FRESH))
    print(said)
    assert f"{FRESH} schedules" in said


def test_a_seed_is_one_trace() -> None:
    first, second = (simulate("--seed", "7", "--schedules", str(ALIKE), "--hashes").splitlines() for _ in range(2))
    assert first[:-1] == second[:-1]  # the last line tells the time that it took
    hashes = {line.split()[1] for line in first[1:-1]}
    assert len(hashes) == ALIKE


@pytest.fixture
def progress_first() -> object:
    """A planted fault: a batch is called handled before anything of it is written."""
    whole = apply.apply

    def wrong(plan: object, assignment: object, log: object, **rest: object) -> object:
        apply._write_progress(plan.progress, assignment, log)  # type: ignore[attr-defined, arg-type]
        return whole(plan, assignment, log, **rest)  # type: ignore[arg-type]

    with patch("stream_processor.engine.apply", wrong), running.replaced_edges():
        yield


@pytest.mark.usefixtures("progress_first")
def test_a_planted_fault_is_found_and_its_schedule_shrunk() -> None:
    found = next(seed for seed in range(300) if running.run(schedule(seed)).error is not None)
    whole = schedule(found)
    left = shrink.shrink(whole, running.run)
    assert len(left.operations) < len(whole.operations)
    again = running.run(left, keep=True)
    assert again.error is not None
    assert again.trace

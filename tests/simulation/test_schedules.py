"""Schedules by seed, and the rules that the simulation itself follows."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from unittest.mock import patch

import pytest

from tests.simulation import running, shrink
from tests.simulation.schedule import schedule

pytestmark = pytest.mark.timeout(900)

FIXED = {"usual": 100, "erasures": 20, "losses": 20, "snapshots": 20, "directory": 20, "dense": 20, "brief": 400, "brief losses": 20}
FRESH = {"usual": 50, "brief": 450}
ALIKE = 5


def simulate(*arguments: str) -> str:
    """What the command says. It runs in a process of its own, whose hashes of texts are always the same."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.simulation", *arguments]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=850, check=False)
    assert finished.returncode == 0, (finished.stdout + finished.stderr)[-12_000:]
    return finished.stdout


@pytest.mark.parametrize("mix", FIXED)
def test_fixed_schedules_hold_every_invariant(mix: str) -> None:
    assert f"{FIXED[mix]} schedules" in simulate("--seed", "0", "--schedules", str(FIXED[mix]), "--mix", mix)


@pytest.mark.parametrize("mix", FRESH)
def test_schedules_that_nobody_has_seen_hold_every_invariant(mix: str) -> None:
    """Their seed is in what is said of a failure."""
    said = simulate("--schedules", str(FRESH[mix]), "--mix", mix)
    print(said)
    assert f"{FRESH[mix]} schedules" in said


def test_a_seed_is_one_trace() -> None:
    first, second = (simulate("--seed", "7", "--schedules", str(ALIKE), "--hashes").splitlines() for _ in range(2))
    assert first[:-1] == second[:-1]  # the last line tells the time that it took
    hashes = {line.split()[1] for line in first[1:-1]}
    assert len(hashes) == ALIKE


@pytest.fixture
def nothing_is_folded() -> Iterator[None]:
    """A planted fault."""
    with patch("stream_processor.apply._fold", lambda *_: None), running.replaced_edges():
        yield


@pytest.mark.usefixtures("nothing_is_folded")
def test_a_planted_fault_is_found_and_its_schedule_shrunk() -> None:
    found = next(seed for seed in range(20) if running.run(schedule(seed)).error is not None)
    whole = schedule(found)
    with patch("tests.simulation.shrink.TRIES", 12):
        left = shrink.shrink(whole, running.run)
    assert len(left.operations) < len(whole.operations)
    again = running.run(left, keep=True)
    assert again.error is not None
    assert again.trace

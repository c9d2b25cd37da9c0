"""A failing schedule made as short as it goes: operations are left out as long as it fails in the same way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tests.simulation.running import Verdict
from tests.simulation.schedule import Operation, Schedule

TRIES = 400


def kind(verdict: Verdict) -> str:
    """In which way a schedule failed; empty where it did not."""
    error = verdict.error
    return "" if error is None else getattr(error, "invariant", type(error).__name__)


def shrink(of: Schedule, run: Callable[[Schedule], Verdict]) -> Schedule:
    """Halves, quarters and so on are left out while the rest fails alike, within a number of tries."""
    wanted, left, size, tries = kind(run(of)), of, max(1, len(of.operations) // 2), 0
    while tries < TRIES:
        shorter = None
        for first in range(0, len(left.operations), size):
            candidate = replace(left, operations=_without(left.operations, first, size))
            tries += 1
            if kind(run(candidate)) == wanted:
                shorter = candidate
                break
        if shorter is not None:
            left = shorter
        elif size == 1:
            break
        size = max(1, size // 2) if shorter is None else min(size, max(1, len(left.operations)))
    return left


def _without(operations: tuple[Operation, ...], first: int, size: int) -> tuple[Operation, ...]:
    return operations[:first] + operations[first + size :]

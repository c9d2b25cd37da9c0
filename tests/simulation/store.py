"""The store as one process sees it: the in-memory store that passes the real one's suite, with faults before, in the middle of, and after each effect, and writes that arrive late.

It also watches what must hold at every moment, not only at the end.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np

from stream_processor.ports import StoreUnavailable

if TYPE_CHECKING:
    from tests.simulation.machine import Machine
from tests.simulation.virtual import give_way

LATE_S = 25.0


class Fault(StrEnum):
    BEFORE = "before"
    PART = "in the middle"
    AFTER = "after"
    LATE = "late"


EFFECTS = ("write_erasures", "write_telemetry", "write_states", "write_reports", "write_ownership", "write_progress")
READS = (
    "ownership",
    "states",
    "known_events",
    "telemetry",
    "highest_event_ids",
    "from_ahead",
    "erasures",
    "progress",
    "days_with_telemetry",
    "has_telemetry",
)


class SimulatedStore:
    """A ``ReportStore`` for the process *machine*."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._store = machine.generation.store

    def close(self) -> None:
        """Nothing is open."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name not in EFFECTS and name not in READS:
            raise AttributeError(name)
        return lambda *arguments: self._call(name, arguments)

    def _call(self, name: str, arguments: tuple[Any, ...]) -> Any:
        machine, world = self._machine, self._machine.world
        give_way(machine.chance.random() * world.schedule.call_s)
        fault = world.faults.take(name)
        put_back, self._store = self._store is not machine.generation.store, machine.generation.store
        store = self._store  # what is on its way when tables are put back is lost with those that were there
        if world.faults.store_is_away or fault is Fault.BEFORE or put_back:  # tables that are put back are not there for a moment
            machine.say(f"{name}: unavailable")
            raise StoreUnavailable(f"simulated: {name}")
        if fault is Fault.LATE:
            late = copy.deepcopy(arguments)
            world.later(machine.chance.random() * LATE_S, f"{machine.name}'s {name} arrives late", lambda: world.effect(store, name, late))
            machine.say(f"{name}: no answer, it will arrive late")
            raise StoreUnavailable(f"simulated: {name} did not answer")
        if fault is Fault.PART:
            machine.say(f"{name}: broke off in the middle")
            world.effect(self._store, name, first_half(name, arguments))
            raise StoreUnavailable(f"simulated: {name} broke off")
        result = world.effect(self._store, name, arguments)
        if name in EFFECTS:
            machine.say(name)
        give_way(machine.chance.random() * world.schedule.call_s)
        if fault is Fault.AFTER:
            machine.say(f"{name}: done, but no answer came")
            raise StoreUnavailable(f"simulated: no answer to {name}")
        return result


def first_half(name: str, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments of a write of which a part of the rows came through."""
    match name:
        case "write_telemetry":
            ids, events, *former = arguments
            half = len(events) // 2
            kept = np.arange(half)
            return (ids[:half], events.take(kept), *(None if f is None else f[:half] for f in former))
        case "write_reports":
            columns = arguments[0]
            return ({column: values[: len(values) // 2] for column, values in columns.items()},)
        case "write_states":
            states = arguments[0]
            half = len(states.day) // 2
            return (replace(states, **{column: getattr(states, column)[:half] for column in states.__dataclass_fields__}),)
        case _:
            rows = arguments[0]
            return (rows[: len(rows) // 2],)

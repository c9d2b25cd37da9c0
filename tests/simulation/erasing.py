"""The eraser as a process of its own: its loop runs as a fiber over the tables in memory, which fail as a server does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from eraser.__main__ import run
from eraser.ports import Tables
from eraser.settings import EraserSection, EraserSettings
from service_kit.settings import ClickHouseSettings
from tests.simulation.group import SESSION_S
from tests.simulation.machine import STORE_DEADLINE_S
from tests.simulation.store import LATE_S, Fault
from tests.simulation.virtual import Process, give_way

if TYPE_CHECKING:
    from tests.simulation.world import World

NAME = "eraser"
BEGIN = datetime(2027, 1, 15, tzinfo=UTC)
SETTINGS = EraserSettings(
    clickhouse=ClickHouseSettings(host="simulated", user="simulated", password="simulated", database="simulated"),  # type: ignore[arg-type]
    eraser=EraserSection(poll_s=2, settle_s=SESSION_S + STORE_DEADLINE_S + 1, sweep_s=20, files_s=2, store_deadline_s=20),
)
# The names by which faults are armed.
EFFECTS = {"delete": "remove", "keep": "write_receipt"}
READ = "eraser's read"


def clock(world: World) -> Callable[[], datetime]:
    """The server's clock."""
    return lambda: BEGIN + timedelta(seconds=world.loop.time())


class SimulatedTables:
    """``Tables`` for the eraser's process."""

    def __init__(self, machine: EraserMachine) -> None:
        self._machine = machine

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *arguments, **named: self._call(name, arguments, named)

    def _call(self, name: str, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        machine, world = self._machine, self._machine.world
        give_way(world.chance.random() * world.schedule.call_s)
        effect = EFFECTS.get(name, READ)
        fault = world.faults.take(effect)
        do = getattr(world.tables, name)
        if world.faults.store_is_away or fault is Fault.BEFORE:
            raise EOFError(f"simulated: {name}")
        if fault is Fault.LATE:
            world.later(world.chance.random() * LATE_S, f"eraser's {name} arrives late", lambda: do(*arguments, **named))
            raise EOFError(f"simulated: {name} did not answer")
        result = do(*arguments, **named)
        if name in EFFECTS:
            machine.say(f"{effect} {arguments[1].table if name == 'delete' else ''}".rstrip())
        give_way(world.chance.random() * world.schedule.call_s)
        if fault is Fault.AFTER:
            raise EOFError(f"simulated: no answer to {name}")
        return result


class Never:
    """A stop that does not come: the process is killed instead."""

    def is_set(self) -> bool:
        return False

    def wait(self, timeout: float) -> bool:
        give_way(timeout)
        return False


class EraserMachine(Process):
    def __init__(self, world: World) -> None:
        super().__init__(NAME)
        self.world = world

    def start(self) -> None:
        self.world.loop.spawn(self, self._run)

    def say(self, text: str) -> None:
        self.world.say(f"{self.name}: {text}")

    async def _run(self) -> None:
        code = await asyncio.to_thread(run, SETTINGS, Never(), self._connect, self.world.loop.time)
        if self.alive:
            self.say(f"ends with {code}")
            self.kill()
            self.world.start_later(self.name)

    @contextmanager
    def _connect(self) -> Iterator[Tables]:
        yield cast(Tables, SimulatedTables(self))

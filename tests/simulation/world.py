"""One schedule, run: the world in which it happens, and what is done to it."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Iterable
from datetime import datetime
from random import Random
from typing import Any

import msgspec

from eraser.rules import State
from schemas.commands import Erase
from schemas.keys import CRM_TOPIC, DEAD_LETTER_TOPIC, LOG_TOPIC
from tests.simulation import erasing
from tests.simulation import schedule as plan
from tests.simulation.broker import Broker, Stored
from tests.simulation.erasing import EraserMachine
from tests.simulation.faults import Faults
from tests.simulation.group import LOOK_S, Group
from tests.simulation.losses import CRM_ANEW, Losses
from tests.simulation.machine import Machine
from tests.simulation.operations import Operations
from tests.simulation.rebuilding import OWN_WORKER, Generation, Rebuilding
from tests.simulation.schedule import Schedule
from tests.simulation.sources import TOPICS, Connector, Crm, Telemetry
from tests.simulation.virtual import WORLD, VirtualLoop
from tests.simulation.watch import Broken, Watch
from tests.support.memory_eraser import MemoryTables
from tests.support.memory_store import MemoryStore

SETTLE_S = 400.0
AWAKE_S = 6.0  # by then whoever stood still has written what it was about to write
WRONG_TOPIC = 78
REBUILT_S = 60.0
_decode_erase = msgspec.json.Decoder(Erase).decode


class World:
    """Everything that a schedule runs in. ``run`` raises ``Broken``, or whatever the product raised where nobody expected it."""

    def __init__(self, of: Schedule, *, keep: bool = False) -> None:
        self.schedule = of
        self.chance = Random(f"world {of.seed}")
        self.loop = VirtualLoop(self.chance)
        self.broker = Broker()
        for topic, partitions in (*TOPICS.items(), (DEAD_LETTER_TOPIC, 1)):
            self.broker.make(topic, partitions)
        self.faults = Faults()
        self.broker.on_news = self._tell_news
        self.telemetry, self.crm = Telemetry(uuids=of.uuids), Crm()
        self.broker.clock_ms = lambda: self.crm.now_us // 1000
        self.connectors = {
            LOG_TOPIC: Connector(self.broker, self.telemetry.wal, LOG_TOPIC),
            CRM_TOPIC: Connector(self.broker, self.crm.wal, CRM_TOPIC),
        }
        self.watch = Watch(self)
        self.generation = Generation(self, 1)
        """The one that readers see."""
        self.former: list[Generation] = []
        self.tables = MemoryTables(self.store, erasing.clock(self))
        self.rebuilding = Rebuilding(self)
        self.losses = Losses(self)
        self.machines: dict[str, Machine | EraserMachine] = {}
        self.wanted: list[str] = []
        self.rebuilt_at = -REBUILT_S
        self.directory_before = 0
        """What former generations' directories had handled of the CRM's topic as it is."""
        self.erased: list[Erase] = []
        """Commands of a log that is no more."""
        self.ends: list[tuple[str, int]] = []
        self._pending_late = 0
        self._hash = hashlib.sha256()
        self.trace: list[str] | None = [] if keep else None

    # -- what the parts tell and ask

    @property
    def store(self) -> MemoryStore:
        return self.generation.store

    @property
    def group(self) -> Group:
        return self.generation.group

    @property
    def generations(self) -> list[Generation]:
        """All that anybody works on or worked on."""
        building = self.rebuilding.building
        return [*self.former, self.generation, *([building] if building else [])]

    def say(self, text: str) -> None:
        line = f"{self.loop.time():9.4f} {text}"
        self._hash.update(line.encode())
        if self.trace is not None:
            self.trace.append(line)

    @property
    def trace_hash(self) -> str:
        return self._hash.hexdigest()

    def later(self, seconds: float, text: str, do: Callable[[], Any]) -> None:
        self._pending_late += 1

        def happen() -> None:
            self._pending_late -= 1
            self.say(text)
            do()

        self.soon(seconds, happen)

    def soon(self, seconds: float, do: Callable[[], Any]) -> None:
        self.loop.call_later(seconds, do, context=WORLD_CONTEXT)

    def effect(self, store: MemoryStore, name: str, arguments: tuple[Any, ...]) -> Any:
        """On *store*: what arrives late may be for tables that nobody reads any more."""
        if store is self.store:
            self.watch.before(name, arguments)
        return getattr(store, name)(*arguments)

    def serve(self, new: Generation) -> None:
        """Readers see *new*; workers that start from now on write it."""
        self.former.append(self.generation)
        self.generation = new
        self.tables.hand_over(new.database, new.store)
        self.watch.forget_contents()

    def restore(self, store: MemoryStore) -> None:
        """The tables become those of a backup."""
        self.generation.store = store
        self.tables.put(self.generation.database, State.SERVING, store)
        self.watch.forget_contents()

    def expire(self) -> None:
        """Retention takes all that is in the log."""
        for place in self.broker.topics[LOG_TOPIC]:
            self.watch.expired(place.expire(place.end))

    def compact(self) -> None:
        """The CRM's topic, and what nobody can know any more afterwards. It waits for half a day, and after a rebuild the new directory reads all of the topic at once."""
        if self.loop.time() < self.rebuilt_at + REBUILT_S:
            return
        self.untold(self.broker.topics[CRM_TOPIC][0].compact())

    def untold(self, gone: Iterable[Stored], *, with_the_topic: bool = False) -> None:
        """What a contract became by one of *gone*, which no directory had handled, cannot be known; that it was deleted can.

        Nor can what it was when it went, where the delete alone told it: the CRM had gone back before, or what told it went *with the topic*.
        """
        for record in gone:
            key = json.loads(record.key or b"{}")
            if record.value is None and key.get("customer_id") in self.crm.tables["customers"] and record.offset >= self.directory_reached:
                self.crm.end_told_by_nobody(key["customer_id"])
            if "contract_id" in key and record.offset >= self.directory_reached and record.value:
                owed = self.crm.owed.get(key["contract_id"])
                if b'"op": "d"' not in record.value or (owed is not None and not owed.told):
                    self.crm.told_by_nobody(key["contract_id"])
                if with_the_topic:
                    self.crm.tell_nobody(key["contract_id"])

    @property
    def directory_reached(self) -> int:
        """The next change of the CRM that no directory, of any generation, has surely handled. What is committed in a topic that was made anew may be of the former one."""
        if self.losses.expected == CRM_ANEW:
            return 0
        return max(self.group.committed.get((CRM_TOPIC, 0), 0), self.directory_before)

    def _tell_news(self) -> None:
        for machine in self.machines.values():
            if machine.alive and isinstance(machine, Machine):
                machine.client.wake()

    def ended(self, machine: Machine, code: int) -> None:
        self.ends.append((machine.name, code))
        if code == WRONG_TOPIC:
            self.losses.ended_with_78(machine.name)
        else:
            self.start_later(machine.name)

    def start_later(self, name: str, after_s: float = 0.5) -> None:
        self.loop.call_later(after_s + self.chance.random() * 3, self._start, name, context=WORLD_CONTEXT)

    def _start(self, name: str) -> None:
        if (
            (name in (*self.wanted, erasing.NAME) or (name == OWN_WORKER and self.rebuilding.building is not None))
            and name not in self.losses.down
            and (name not in self.machines or not self.machines[name].alive)
        ):
            building = self.rebuilding.building if name == OWN_WORKER else None
            self.machines[name] = EraserMachine(self) if name == erasing.NAME else Machine(self, name, building)
            self.say(f"{name} starts")
            self.machines[name].start()

    def stop(self, name: str) -> None:
        if name in self.machines:
            self.machines[name].kill()

    # -- running

    def run(self) -> None:
        WORLD.waiting.clear()
        WORLD.tasks.clear()
        try:
            self.loop.run_until_complete(self._run())
        finally:
            for machine in (*self.machines.values(), WORLD):
                machine.kill()
            WORLD.alive = True
            self.loop.close()

    async def _run(self) -> None:
        chance = Random(f"setup {self.schedule.seed}")
        width = self.schedule.width
        for number in width.prostheses:
            self.crm.put("prostheses", plan.prosthesis(chance, number))
        for number in range(width.customers):
            self.crm.put("customers", plan.customer(chance, number, f"user-{number}"))
        for number in range(2):
            self.crm.put("contracts", plan.contract(chance, number, list(range(width.customers)), width))
        self.wanted = list(plan.WORKERS[: self.schedule.workers])
        for name in (*self.wanted, erasing.NAME):
            self.start_later(name)
        keepers = [self.loop.spawn(WORLD, make) for make in (self._connect, self._coordinate)]
        operations = Operations(self)
        rested_s = 0.0
        for operation in self.schedule.operations:
            await asyncio.sleep(max(0.0, operation.at_s + rested_s - self.loop.time()))
            if operation.what == plan.REST:
                rested_s += await self._rest_and_compare(keepers)
            else:
                operations.carry_out(operation)
            self._look_at(keepers)
        await self._settle(keepers)
        self.watch.at_the_end()

    async def _rest_and_compare(self, keepers: list[asyncio.Task[None]]) -> float:
        """Nothing new is done until all is handled; what later work would mend shows now. Returns how long it took."""
        began = self.loop.time()
        self.telemetry.end_window()
        while not self._is_settled():
            await self._wait(keepers, began + SETTLE_S)
        self.say("all is handled for now")
        self.watch.at_rest()
        return self.loop.time() - began

    def _look_at(self, keepers: list[asyncio.Task[None]]) -> None:
        self.watch.raise_if_broken()
        if self.loop.errors:
            raise self.loop.errors[0]
        for keeper in keepers:
            if keeper.done():
                keeper.result()

    async def _settle(self, keepers: list[asyncio.Task[None]]) -> None:
        """No more faults: within a bound of virtual time all is handled and acknowledged."""
        self.faults.disarm()
        self.say("faults are over")
        self.telemetry.end_window()
        for machine in self.machines.values():
            machine.paused = False
        deadline = self.loop.time() + SETTLE_S
        await asyncio.sleep(AWAKE_S)
        while not self._is_settled():
            await self._wait(keepers, deadline)
        self._rest()
        quiet_since = erasing.clock(self)()
        while not self._is_erased(quiet_since):
            await self._wait(keepers, deadline)

    async def _wait(self, keepers: list[asyncio.Task[None]], deadline: float) -> None:
        await asyncio.sleep(1.0)
        self._look_at(keepers)
        if self.loop.time() > deadline:
            self.losses.look()
            behind = self.behind(self.group) or "erasures without a receipt"
            raise Broken("progress", f"not at rest {SETTLE_S:.0f} s after the last fault: {behind}")

    def _rest(self) -> None:
        """Workers have nothing to do any more, and are left out of what follows."""
        self.say("all is handled")
        for machine in self.machines.values():
            machine.paused = isinstance(machine, Machine)

    def _is_erased(self, quiet_since: datetime) -> bool:
        """Whether every rule has its receipt, and was looked for again after all was quiet."""
        rules = list(self.store.rules.values())
        receipts = self.tables.receipts(rules)
        looked = [receipts[rule.key].checked_at for rule in rules if rule.key in receipts and receipts[rule.key].finished_at is not None]
        return len(looked) == len(rules) and all(at is not None and at >= quiet_since for at in looked)

    def _is_settled(self) -> bool:
        return (
            self._pending_late == 0
            and not self.losses.is_waited_for
            and self.rebuilding.building is None
            and not self.is_behind_the_sources(self.group)
        )

    def is_behind_the_sources(self, group: Group) -> bool:
        """Whether there is a change that *group* has not acknowledged."""
        all_told = not self.crm.has_untold_changes and all(connector.is_done for connector in self.connectors.values())
        return not all_told or bool(self.behind(group))

    def behind(self, group: Group) -> list[str]:
        """Partitions that have records beyond what *group* has committed, or had: a worker may be at work on what retention has taken since."""
        behind = []
        for topic in TOPICS:
            for number, place in enumerate(self.broker.topics[topic]):
                last = place.records[-1].offset if place.records else -1
                committed = group.committed.get((topic, number), 0)
                is_at_work = max(committed, self.losses.handled((topic, number)) + 1) <= place.last_expired
                if place.open or is_at_work or committed <= last:
                    behind.append(f"{topic}/{number} at {committed} of {last + 1}")
        return behind

    async def _connect(self) -> None:
        beats = 0
        while True:
            await asyncio.sleep(0.05 + self.chance.random() * 0.4)
            for topic, connector in self.connectors.items():
                count = connector.begin(self.chance.choice((1, 3, 20)))
                if count:
                    await asyncio.sleep(self.chance.random() * 0.05)
                    connector.finish(commit=True)
                    self.say(f"connector: {count} records to {topic}")
            beats += 1
            if beats % 40 == 0 and self.loop.time() < plan.SECONDS:
                self.telemetry.beat()

    async def _coordinate(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            for generation in self.generations:
                generation.group.look(self.loop.time())

    # -- what the naive recomputation needs

    def erase_commands(self) -> list[Erase]:
        """Those in the log."""
        return [
            _decode_erase(record.value) for record in self.broker.values(LOG_TOPIC) if record.value and b'"type":"erase"' in record.value
        ]


def _world_context() -> Any:
    import contextvars  # noqa: PLC0415 - used once

    return contextvars.Context()


WORLD_CONTEXT = _world_context()

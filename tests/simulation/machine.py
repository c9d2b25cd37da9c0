"""One worker process: the product's ``Processor`` over the simulated client and store."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from schemas.keys import CRM_TOPIC, LOG_TOPIC
from schemas.mapping import SourceMapping
from schemas.retention import Retention
from service_kit.settings import ClickHouseSettings
from stream_processor.adapters.compacted_topic import KeptRecord
from stream_processor.adapters.generations import ServingConfiguration
from stream_processor.adapters.membership import Membership
from stream_processor.adapters.topics import TopicIdentity
from stream_processor.app import Processor, Topics
from stream_processor.settings import ProcessorSection, ProcessorSettings
from stream_processor.worker import Worker
from tests.simulation.client import Client
from tests.simulation.group import SESSION_S
from tests.simulation.store import Fault, SimulatedStore
from tests.simulation.virtual import PROCESS, Ended, Process, Unanswered, give_way

if TYPE_CHECKING:
    from tests.simulation.rebuilding import Generation
    from tests.simulation.world import World

STORE_DEADLINE_S = 20.0
SETTINGS = ProcessorSettings(
    clickhouse=ClickHouseSettings(host="simulated", user="simulated", password="simulated", database="simulated"),  # type: ignore[arg-type]
    processor=ProcessorSection(
        batch_records=200, cached_states=20, store_deadline_s=STORE_DEADLINE_S, dead_letters_per_minute=300, session_timeout_s=SESSION_S
    ),
)

SMALL = SETTINGS.model_copy(update={"processor": SETTINGS.processor.model_copy(update={"batch_records": 5, "cached_states": 2})})
RETENTION = Retention(None, None)
GIVEN_UP_S = 3.0
LATE_COMMIT_S = 12.0  # longer than a session: by then the group has moved on


class SimulatedProcessor(Processor):
    """``Processor`` with its two edges replaced."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        broker = machine.world.broker
        known = [TopicIdentity(name, broker.ids[name], len(broker.topics[name])) for name in (LOG_TOPIC, CRM_TOPIC)]
        super().__init__(machine.settings, machine.serving, Topics(*known))

    def _faust_app(self) -> Any:
        return Client(self._machine)

    def _make_store(self) -> Any:
        return SimulatedStore(self._machine)

    def _make_worker(self) -> Worker:
        worker = super()._make_worker()
        if self._machine.chance.random() < 0.5 or self._machine.world.schedule.in_parts:  # recomputes go on in parts, beside later records
            worker._engine._settings = replace(worker._engine._settings, recompute_events=0)
        worker._clock = asyncio.get_running_loop().time
        worker._erasures_read = worker._clock()
        return worker


class Machine(Process):
    """A worker by its name, from its start to its end; another start makes another."""

    def __init__(self, world: World, name: str, building: Generation | None = None) -> None:
        """*building*: its settings name that generation; None: it writes what readers see."""
        super().__init__(name)
        self.world = world
        self.generation = building or world.generation
        settings = SMALL if world.schedule.small else SETTINGS
        processor = settings.processor.model_copy(update={"generation": building.number if building else None})
        self.settings = settings.model_copy(update={"processor": processor}) if building else settings
        self.chance = world.chance
        self.fetch_records = world.chance.choice((3, 10, 40))

    @property
    def serving(self) -> ServingConfiguration:
        return ServingConfiguration(self.generation.number, RETENTION, self.generation.begins)

    def start(self) -> None:
        token = PROCESS.set(self)
        try:
            self.client = cast(Client, SimulatedProcessor(self).app)
        finally:
            PROCESS.reset(token)
        for make in self.client.coroutines():
            self.world.loop.spawn(self, make)

    def say(self, text: str) -> None:
        self.world.say(f"{self.name}: {text}")

    def end(self, code: int) -> None:
        """In the place of ``os._exit``."""
        if self.alive:
            self.say(f"ends with {code}")
            self.kill()
            self.world.ended(self, code)
        raise Ended

    def commit_fault(self) -> tuple[float, bool]:
        """How long a commit takes, and whether it comes to nothing."""
        fault = self.world.faults.take("commit")
        return (LATE_COMMIT_S if fault is Fault.LATE else self.chance.random() * 0.05), fault is Fault.BEFORE

    def send(
        self, topic: str, partition: int, key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes]]
    ) -> Awaitable[None]:
        """A producer's send: it keeps the order, is acknowledged later, repeated, or given up with or without effect."""
        fault = self.world.faults.take("send")
        if fault is not Fault.BEFORE:
            for _ in range(2 if fault is Fault.PART else 1):
                offset = self.world.broker.append(topic, partition, key, value, headers)
                self.say(f"sends {topic}/{partition}@{offset}")
        return self._acknowledgement(refused=fault in {Fault.BEFORE, Fault.AFTER})

    async def _acknowledgement(self, *, refused: bool) -> None:
        # A broker that does not answer is given up after a while, in which the worker goes on.
        await asyncio.sleep(self.chance.random() * (GIVEN_UP_S if refused else 0.02))
        if refused:
            raise Unanswered("simulated: the broker did not answer")


# -- what the product asks the broker, by the module's name that it is looked up under


def this_machine() -> Machine:
    return cast(Machine, PROCESS.get())


def end(code: int) -> None:
    this_machine().end(code)


def records_before(_settings: Any, topic: str, offset: int) -> Iterable[KeptRecord]:
    give_way(0.01)
    records = this_machine().world.broker.topics[topic][0].records
    return [KeptRecord(record.key, record.value, record.at_ms) for record in records if record.offset < offset]


def mapping(*_: Any) -> SourceMapping:
    return this_machine().world.telemetry.mapping


def identify(_settings: Any, topic: str) -> TopicIdentity:
    give_way(0.01)
    broker = this_machine().world.broker
    return TopicIdentity(topic, broker.ids[topic], len(broker.topics[topic]))


def committed(_settings: Any, _group: str, identity: TopicIdentity) -> dict[int, int]:
    give_way(0.01)
    return {number: offset for (topic, number), offset in this_machine().generation.group.committed.items() if topic == identity.topic}


def bounds(_settings: Any, identity: TopicIdentity) -> tuple[list[int], list[int]]:
    give_way(0.01)
    places = this_machine().world.broker.topics[identity.topic]
    return [place.start for place in places], [place.end for place in places]


def membership(_settings: Any, _group: str, topic: str) -> Membership:
    give_way(0.01)
    group = this_machine().generation.group
    owned = {at for member in group.members.values() for at in member.owned if at[0] == topic}
    return Membership(group.sharing_until is None, frozenset(group.members), len(owned))


def serving_configuration(_settings: Any, generation: int | None) -> ServingConfiguration:
    give_way(0.01)
    machine = this_machine()
    serving = machine.generation if generation else machine.world.generation
    return ServingConfiguration(serving.number, RETENTION, serving.begins)

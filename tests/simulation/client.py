"""One worker's client of the log, in the place of Faust and aiokafka: membership, fetching, delivery to the agents, commits.

What stands here is the seam: everything above it, from ``Processor`` on, is the product's own code. ``Positions`` is too.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from schemas.keys import CRM_TOPIC, LOG_TOPIC
from stream_processor.adapters.positions import Positions
from stream_processor.ending import records_are_lost
from tests.simulation.broker import Stored
from tests.simulation.group import TP, Heartbeat
from tests.simulation.store import Fault
from tests.simulation.virtual import Unanswered

if TYPE_CHECKING:
    from tests.simulation.machine import Machine

HEARTBEAT_S = 3.0
COMMIT_S = 0.5
POLL_S = 0.2
QUEUED = 8
SENT_WITHIN_S = 0.02


@dataclass(slots=True)
class Message:
    """A delivery: of the log a partition's fetched records, of other topics one."""

    tp: TP
    offset: int
    generation_id: int
    key: bytes | None
    value: Any
    headers: Any
    timestamp: float = 0.0

    @property
    def partition(self) -> int:
        return self.tp[1]


@dataclass(slots=True)
class Event:
    message: Message

    @property
    def value(self) -> Any:
        return self.message.value


class Stream:
    """What an agent iterates over."""

    def __init__(self, client: Client, topic: str) -> None:
        self._client = client
        self._topic = topic

    def noack(self) -> Stream:
        return self

    async def events(self) -> AsyncIterator[Event]:
        while True:
            yield Event(await self._client.next_message(self._topic))

    async def ack(self, event: Event) -> None:
        self._client.positions.acknowledge(event.message.tp, event.message.offset)


class Signal:
    def __init__(self) -> None:
        self.handlers: list[Callable[..., Awaitable[None]]] = []

    def connect(self, handler: Callable[..., Awaitable[None]]) -> None:
        self.handlers.append(handler)

    async def send(self) -> None:
        for handler in self.handlers:
            await handler()


class Table(MutableMapping[str, Any]):
    """The directory's table: its changelog is its generation's, and whoever writes last is believed, a zombie too. What is not sent yet is lost with its worker."""

    def __init__(self, machine: Machine) -> None:
        self._changelog, self._faults = machine.generation.changelog, machine.world.faults
        self._chance = machine.chance
        self._rows: dict[str, Any] = {}
        self._unsent: list[tuple[str, Any]] = []

    def recover(self) -> None:
        self._rows = dict(self._changelog)

    def send(self, most: int | None = None) -> None:
        """Up to *most* of what is not sent yet, in order."""
        for key, row in self._unsent[:most]:
            if row is None:
                self._changelog.pop(key, None)
            else:
                self._changelog[key] = row
        del self._unsent[:most]

    async def written(self) -> None:
        """Sends when it is awaited, which is as late as the product can be told that it was done. The broker may refuse what is left, all or but for the first rows, or never answer."""
        await asyncio.sleep(self._chance.random() * SENT_WITHIN_S)
        fault = self._faults.take("changelog") if self._unsent else None
        if fault in {Fault.BEFORE, Fault.PART}:
            self.send(0 if fault is Fault.BEFORE else self._chance.randrange(len(self._unsent)))
            self._unsent.clear()
        self.send()
        await asyncio.sleep(self._chance.random() * SENT_WITHIN_S)
        if fault:
            raise Unanswered("simulated: the broker did not take the changelog's rows")

    def __getitem__(self, key: str) -> Any:
        return self._rows[key]

    def __setitem__(self, key: str, row: Any) -> None:
        self._rows[key] = row
        self._unsent.append((key, row))

    def __delitem__(self, key: str) -> None:
        del self._rows[key]
        self._unsent.append((key, None))

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


class Topic:
    """Where ``Output`` sends to."""

    def __init__(self, client: Client, name: str) -> None:
        self.name = name
        self._client = client

    async def send(
        self, *, key: bytes | None, value: bytes | None, partition: int = 0, headers: list[tuple[str, bytes]] | None = None
    ) -> Awaitable[None]:
        return self._client.machine.send(self.name, partition, key, value, headers or [])


class Client:
    """Faust's application, as far as ``Processor`` uses it."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.consumer_generation_id = 0
        self.member_id = ""
        self.positions = Positions()
        self.on_partitions_revoked, self.on_partitions_assigned = Signal(), Signal()
        self.agents: dict[str, Callable[[Any], Awaitable[None]]] = {}
        self.tasks: list[Callable[[], Awaitable[None]]] = []
        self._table = Table(machine)
        self._fetched: dict[TP, int] = {}
        self._flow = False
        self._joins = 0
        self._last_commit: tuple[str, int, dict[TP, int]] = ("", 0, {})
        self._queues: dict[str, deque[Message]] = {LOG_TOPIC: deque(), CRM_TOPIC: deque()}
        self._arrived = asyncio.Event()
        self._news = asyncio.Event()
        self._rejoin = asyncio.Event()

    # -- what ``Processor`` asks of an application

    @property
    def consumer(self) -> Client:
        return self

    def topic(self, name: str, **_: Any) -> Topic:
        return Topic(self, name)

    def agent(self, topic: Topic, *, name: str) -> Callable[[Any], None]:
        return lambda run: self.agents.__setitem__(topic.name, run)

    def task(self, run: Callable[[], Awaitable[None]]) -> None:
        self.tasks.append(run)

    def page(self, _path: str) -> Callable[[Any], None]:
        return lambda _view: None

    def Table(self, _name: str, *, partitions: int) -> Table:  # noqa: N802 - Faust's name
        return self._table

    # -- life

    def coroutines(self) -> list[Callable[[], Any]]:
        agents = [lambda topic=topic, run=run: run(Stream(self, topic)) for topic, run in self.agents.items()]
        return [*agents, *self.tasks, self._membership, self._heartbeats, self._fetching, self._committing]

    async def _membership(self) -> None:
        while True:
            await self._join()
            await self._rejoin.wait()
            self._rejoin.clear()
            self._flow = False
            await self.on_partitions_revoked.send()
            if self.machine.chance.random() < 0.5:
                await self._commit()
            self._throw_away()

    async def _join(self) -> None:
        group = self.machine.generation.group
        self.member_id, future = group.join(self.member_id, self.machine.name, self._now())
        generation, owned = await future
        self._rejoin.clear()
        self.consumer_generation_id = generation
        self.positions.restart()
        if (CRM_TOPIC, 0) in owned:
            self._table.recover()
        self._fetched = {at: self._begin(at) for at in sorted(owned)}
        self.machine.say(f"has generation {generation}: {', '.join(f'{topic}/{number}' for topic, number in sorted(owned))}")
        self._flow = True
        self._joins += 1
        self.wake()
        await self.on_partitions_assigned.send()

    def _begin(self, at: TP) -> int:
        start = self.machine.world.broker.topics[at[0]][at[1]].start
        return max(self.machine.generation.group.committed.get(at, start), start)

    def _throw_away(self) -> None:
        """A rebalance throws away what waits for the agents, or it does not."""
        if self.machine.chance.random() < 0.5:
            for queue in self._queues.values():
                queue.clear()

    async def _heartbeats(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            if not self.member_id or self._rejoin.is_set():
                continue
            said = self.machine.generation.group.heartbeat(self.member_id, self.consumer_generation_id, self._now())
            if said is Heartbeat.UNKNOWN:
                self.member_id = ""
            if said is not Heartbeat.OK:
                self._rejoin.set()

    async def _fetching(self) -> None:
        chance = self.machine.chance
        while True:
            if not (self._flow and self._ready()):
                self._news.clear()
                await self._news.wait()
                continue
            await asyncio.sleep(POLL_S * chance.random())
            ready = self._ready() if self._flow else []
            if not ready:
                continue
            at = ready[int(chance.random() * len(ready))]
            generation, position, joins = self.consumer_generation_id, self._fetched[at], self._joins
            place = self.machine.world.broker.topics[at[0]][at[1]]
            if position < place.start:
                records_are_lost(*at)
            records = place.read(position, chance.randrange(1, self.machine.fetch_records))
            if not records:
                self._fetched[at] = place.skip(position)
                continue
            await asyncio.sleep(chance.random() * 0.01)
            if self._joins != joins:
                continue  # fetched before partitions were sought, which never happens to what the real client has in hand
            if not self._flow:
                self.positions.skip([at])
                continue
            self._fetched[at] = records[-1].offset + 1
            self._deliver(at, records, generation)

    def wake(self) -> None:
        """There may be something to fetch now."""
        self._news.set()

    def _ready(self) -> list[TP]:
        """Partitions that have something to be fetched, and room for it."""
        topics, queues = self.machine.world.broker.topics, self._queues
        return [at for at, position in self._fetched.items() if topics[at[0]][at[1]].stable() > position and len(queues[at[0]]) < QUEUED]

    def _deliver(self, at: TP, records: list[Stored], generation: int) -> None:
        messages = (
            [Message(at, records[-1].offset, generation, None, records, ())]
            if at[0] == LOG_TOPIC
            else [Message(at, r.offset, generation, r.key, r.value, r.headers, r.at_ms / 1000) for r in records]
        )
        for message in messages:
            self.positions.deliver(at, message.offset)
            self._queues[at[0]].append(message)
        self._arrived.set()

    async def next_message(self, topic: str) -> Message:
        queue = self._queues[topic]
        self._table.send(self.machine.chance.randrange(8))
        while not queue:
            self._arrived.clear()
            await self._arrived.wait()
        self.wake()
        return queue.popleft()

    async def _committing(self) -> None:
        while True:
            await asyncio.sleep(COMMIT_S)
            await self._commit()

    async def _commit(self) -> None:
        """It may fail, or arrive when the group has moved on."""
        offsets = {at: offset for at in self._fetched if (offset := self.positions.next_offset(at)) is not None}
        member, generation = self.member_id, self.consumer_generation_id
        if offsets and (member, generation, offsets) != self._last_commit:
            seconds, lost = self.machine.commit_fault()
            await asyncio.sleep(seconds)
            if not lost and self.machine.generation.group.commit(member, generation, offsets):
                self._last_commit = member, generation, offsets

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

"""A consumer group as its coordinator sees it: generations, static membership, session time-outs, rebalances, commits that are fenced."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from random import Random

from tests.simulation.broker import Broker

TP = tuple[str, int]
SESSION_S = 10.0
REBALANCE_S = 20.0
LOOK_S = 0.5


class Heartbeat(Enum):
    OK = "ok"
    REBALANCE = "rebalance"
    UNKNOWN = "unknown member"


@dataclass
class Member:
    id: str
    instance: str
    heard: float
    joining: asyncio.Future[tuple[int, frozenset[TP]]] | None = None
    owned: frozenset[TP] = frozenset()


@dataclass
class Group:
    """*on_commit* is told each commit that took effect."""

    broker: Broker
    topics: tuple[str, ...]
    chance: Random
    on_commit: Callable[[TP, int], None]
    generation: int = 0
    members: dict[str, Member] = field(default_factory=dict)
    committed: dict[TP, int] = field(default_factory=dict)
    sharing_until: float | None = None
    _made: int = 0

    def join(self, member_id: str, instance: str, now: float) -> tuple[str, asyncio.Future[tuple[int, frozenset[TP]]]]:
        """Returns the member's id and what will be its generation and partitions. One that comes back under its *instance* gets its place back at once."""
        future: asyncio.Future[tuple[int, frozenset[TP]]] = asyncio.get_running_loop().create_future()
        former = next((m for m in self.members.values() if m.instance == instance and m.id != member_id), None)
        if former is not None:
            del self.members[former.id]
        if member_id not in self.members:
            self._made += 1
            member_id = f"{instance}-{self._made}"
            self.members[member_id] = Member(member_id, instance, now, owned=former.owned if former else frozenset())
        member = self.members[member_id]
        member.heard = now
        if former is not None and self.sharing_until is None:
            future.set_result((self.generation, former.owned))
            return member_id, future
        member.joining = future
        self._begin(now)
        self._finish_if_all(now)
        return member_id, future

    def leave(self, member_id: str, now: float) -> None:
        if self.members.pop(member_id, None) is not None:
            self._begin(now)

    def heartbeat(self, member_id: str, generation: int, now: float) -> Heartbeat:
        member = self.members.get(member_id)
        if member is None:
            return Heartbeat.UNKNOWN
        member.heard = now
        return Heartbeat.OK if self.sharing_until is None and generation == self.generation else Heartbeat.REBALANCE

    def commit(self, member_id: str, generation: int, offsets: dict[TP, int]) -> bool:
        """Whether it took effect: of a former generation or member it does not."""
        if member_id not in self.members or generation != self.generation:
            return False
        for at, offset in sorted(offsets.items()):
            self.committed[at] = offset
            self.on_commit(at, offset)
        return True

    def forget(self, topic: str) -> None:
        """What was committed of *topic*, as when it is deleted."""
        self.committed = {at: offset for at, offset in self.committed.items() if at[0] != topic}

    def set_back(self, topic: str, begins: dict[int, int]) -> None:
        """To *begins*, as `bionicpro replay` does."""
        self.forget(topic)
        self.committed |= {(topic, number): offset for number, offset in begins.items() if offset}

    def look(self, now: float) -> None:
        """Called now and then: members that were silent for too long, and rebalances that wait for them."""
        silent = [m.id for m in self.members.values() if m.joining is None and now - m.heard > SESSION_S]
        for member_id in silent:
            self.leave(member_id, now)
        if self.sharing_until is not None:
            self._finish_if_all(now)

    def _begin(self, now: float) -> None:
        if self.sharing_until is None:
            self.sharing_until = now + REBALANCE_S

    def _finish_if_all(self, now: float) -> None:
        late = [m.id for m in self.members.values() if m.joining is None]
        if late and self.sharing_until is not None and now < self.sharing_until:
            return
        for member_id in late:
            del self.members[member_id]
        self.sharing_until = None
        self.generation += 1
        self._share_out()

    def _share_out(self) -> None:
        members = sorted(self.members.values(), key=lambda m: m.id)
        if not members:
            return
        shares: dict[str, set[TP]] = {m.id: set() for m in members}
        for topic in self.topics:
            for number in range(len(self.broker.topics[topic])):
                shares[self.chance.choice(members).id].add((topic, number))
        for member in members:
            member.owned = frozenset(shares[member.id])
            joining, member.joining = member.joining, None
            if joining is not None and not joining.done():
                joining.set_result((self.generation, member.owned))

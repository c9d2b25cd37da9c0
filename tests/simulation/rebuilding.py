"""Rebuilds: another generation of tables, with a group and a directory of its own, in the place of the former one or beside it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

import msgspec

from cli.rebuild.directory import not_carried_out
from cli.rebuild.source import recomputes
from eraser.rules import State
from schemas.keys import CRM_TOPIC, LOG_TOPIC
from schemas.partition_progress import PartitionProgress
from stream_processor.domain.directory_facts import means_the_same_in_another_topic
from tests.simulation.group import TP, Group
from tests.support.log_model import PARTITIONS
from tests.support.memory_eraser import database_of
from tests.support.memory_store import MemoryStore

if TYPE_CHECKING:
    from tests.simulation.world import World

SNAPSHOT_S = 3.0
COPY_S = 3.0
HALF = 0.5
LOOK_S = 0.5
OWN_WORKER_S = 6.0
OWN_WORKER = "own"


@dataclass(eq=False)
class Generation:
    """A set of tables, and what those who write it have in Kafka: their group, and their directory's *changelog*."""

    world: World
    number: int
    store: MemoryStore = field(default_factory=MemoryStore)
    changelog: dict[str, Any] = field(default_factory=dict)
    begins: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.group = Group(self.world.broker, (LOG_TOPIC, CRM_TOPIC), self.world.chance, partial(self.world.watch.committed, self))

    @property
    def database(self) -> str:
        return database_of(self.number)


class Rebuilding:
    """``bionicpro rebuild``. From PostgreSQL a new generation begins at the log's end, and snapshots bring every row; from the former one's tables it begins where that one has come to, and folds a copy of raw.

    What the former directory knows goes with it, and what it knows that the CRM has no more is taken back.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self.building: Generation | None = None
        self._is_read = False
        self._to_fold: list[str] = []

    def in_place(self, *, same_topic: bool) -> None:
        """Nobody works on the former generation any more."""
        self._world.say("rebuild")
        new = self._begin(self._ends(), same_topic=same_topic)
        self._hand_over(new)
        self._read_all()

    def beside(self, chance: Random) -> None:
        """The former generation is written and read until the new one, with a worker of its own, has caught up."""
        if self.building is not None:
            return
        if chance.random() < HALF:
            self._world.say("rebuild beside, from PostgreSQL")
            self.building = self._begin(self._ends(), same_topic=True)
            self._read_all()
            self._with_worker()
        else:
            self._world.say("rebuild beside, from the tables")
            self.building = self._begin(self._handled(), same_topic=True)
            self._is_read = False
            self._world.later(chance.random() * COPY_S, "raw is copied", self._copy)
        self._world.tables.put(self.building.database, State.BUILDING, self.building.store)
        self._look_later()

    def _with_worker(self) -> None:
        self._world.start_later(OWN_WORKER)

    def _ends(self) -> dict[int, int]:
        """Where the log ends. What is unusable before comes in no snapshot."""
        self._world.watch.begins = ends = {number: place.end for number, place in enumerate(self._world.broker.topics[LOG_TOPIC])}
        return ends

    def _handled(self) -> dict[int, int]:
        """Up to where the tables have the log."""
        positions, places = self._world.store.positions, self._world.broker.topics[LOG_TOPIC]
        known = {n: positions.get((LOG_TOPIC, n)) for n in range(len(places))}
        return {n: places[n].start if row is None else row.handled_offset + 1 for n, row in known.items()}

    def _copy(self) -> None:
        """One row an event, deleted ones too, and the documents in force."""
        if self.building is None:
            return
        old, new = self._world.store, self.building.store
        new.raw = {key: dict(row) for key, row in old.raw.items()}
        new.raw_parts = [dict(new.raw)]
        new.write_ownership(list(old.documents.values()))
        self._to_fold, self._is_read = sorted({key[0] for key in new.raw}), True
        self._with_worker()

    def _begin(self, begins: dict[int, int], *, same_topic: bool) -> Generation:
        world = self._world
        world.rebuilt_at = world.loop.time()
        for connector in world.connectors.values():
            connector.finish(commit=True)
        new, identity = Generation(world, world.generation.number + 1, begins=begins), world.broker.ids[LOG_TOPIC]
        new.store.rules = world.store.rules
        new.store.write_progress([PartitionProgress(LOG_TOPIC, n, identity, PARTITIONS, end - 1, 0) for n, end in begins.items() if end])
        committed: dict[TP, int] = {(LOG_TOPIC, number): end for number, end in begins.items()}
        new.group.committed = committed
        self._take_over_the_directory(new, same_topic=same_topic)
        return new

    def _take_over_the_directory(self, new: Generation, *, same_topic: bool) -> None:
        world, rows = self._world, self._world.generation.changelog
        new.changelog |= {key: row for key, row in rows.items() if same_topic or means_the_same_in_another_topic(key)}
        encoded = {msgspec.json.encode(key): msgspec.json.encode(row) for key, row in rows.items()}
        for command in not_carried_out(encoded, world.store.rules.values()):
            world.telemetry.command(command)
        known = {**rows, **world.crm.told(world.broker.topics[CRM_TOPIC][0].records)}
        for table in ("contracts", "customers", "prostheses"):
            there = {f"{table}:{identity}" for identity in world.crm.tables[table]}
            for key in sorted(key for key in known if key.startswith(f"{table}:") and key not in there):
                world.crm.take_back(table, known[key])

    def _read_all(self) -> None:
        world = self._world
        world.crm.snapshot()
        world.telemetry.end_window()
        world.telemetry.begin_window()
        self._is_read = False
        world.later(SNAPSHOT_S, "the snapshot ends", self._end)

    def _end(self) -> None:
        self._world.telemetry.end_window()
        self._is_read = True

    def _look_later(self) -> None:
        self._world.soon(LOOK_S, self._look)

    def _look(self) -> None:
        """Readers see the new generation once it has caught up. Its own worker goes on until others have taken over."""
        new, world = self.building, self._world
        if new is None:
            return
        if not self._is_read or world.telemetry.is_read_again or world.is_behind_the_sources(new.group):
            self._look_later()
            return
        if self._to_fold:
            for number, command in enumerate(recomputes(self._to_fold, new.number)):
                world.telemetry.command(msgspec.structs.replace(command, command_id=f"rebuild-{number}"))  # a seed makes one trace
            self._to_fold = []
            self._look_later()
            return
        world.say(f"readers see generation {new.number}")
        self.building = None
        self._hand_over(new)
        world.watch.at_rest()
        world.later(OWN_WORKER_S, "the rebuild ends", lambda: world.stop(OWN_WORKER))

    def _hand_over(self, new: Generation) -> None:
        world = self._world
        world.directory_before = world.directory_reached
        world.serve(new)

"""Faults that lose data: the processor has to stop loudly (exit code 78) and stay down, and what an operator then does has to make every report right again."""

from __future__ import annotations

import copy
from random import Random
from typing import TYPE_CHECKING

from schemas.keys import CRM_TOPIC, LOG_TOPIC
from tests.simulation.machine import Machine
from tests.simulation.watch import Broken
from tests.support.log_model import PARTITIONS
from tests.support.memory_store import MemoryStore

if TYPE_CHECKING:
    from tests.simulation.world import World

NOTICED_S = 15.0
DOWN_S = 2.0
BEAT_S = 5.0
CRM_ANEW = "the CRM's topic was made anew"
OLDER = "the tables are older than the commits"
EMPTIED = "tables were emptied by hand"


class Losses:
    """One after the other. *expected*: what was lost, from then until the operator has healed it; workers may end with 78 only then."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._backup: MemoryStore | None = None
        self._sources_backup = world.telemetry.backup()
        self._crm_backup = world.crm.backup()
        self._chance = Random(f"operator {world.schedule.seed}")
        self.expected: str | None = None
        self.certain = True
        self.down: set[str] = set()

    # -- faults

    def expire(self) -> None:
        """Retention is faster than the workers, which are all down: of every partition it takes what is there, read or not."""
        self._stop_workers()
        self._finish_transactions()
        self._world.erased += self._world.erase_commands()
        self._world.expire()
        committed = self._world.group.committed
        lost = [
            place
            for n, place in enumerate(self._world.broker.topics[LOG_TOPIC])
            if committed.get((LOG_TOPIC, n), self.handled((LOG_TOPIC, n)) + 1) < place.start
        ]
        if lost:
            self._expect("records expired before they were read")
        self._start_workers()

    def make_anew(self) -> None:
        """The log is deleted and made again, with the group's offsets; the workers run."""
        if not any(topic == LOG_TOPIC for topic, _ in self._world.store.positions):
            return  # nobody has begun
        self._world.erased += self._world.erase_commands()
        self._world.connectors[LOG_TOPIC].forget()
        self._world.broker.make(LOG_TOPIC, PARTITIONS)
        self._world.group.forget(LOG_TOPIC)
        self._expect("the log was made anew")

    def expire_while_they_run(self) -> None:
        """Retention takes what is there from under workers that run: whoever has not read it, or dies before it is acknowledged, finds that it is gone."""
        self._finish_transactions()
        self._world.erased += self._world.erase_commands()
        self._world.expire()
        committed = self._world.group.committed
        if any(committed.get((LOG_TOPIC, n), 0) < place.start for n, place in enumerate(self._world.broker.topics[LOG_TOPIC])):
            self._expect("records expired while they ran", certain=False)

    def make_crm_anew(self) -> None:
        """The CRM's topic is deleted and made again, with the group's offsets and what nobody had read; the workers run."""
        if not any(topic == CRM_TOPIC for topic, _ in self._world.store.positions):
            return  # nobody has begun
        self._world.untold(self._world.broker.topics[CRM_TOPIC][0].records, with_the_topic=True)
        self._world.connectors[CRM_TOPIC].forget()
        self._world.broker.make(CRM_TOPIC, 1)
        self._world.group.forget(CRM_TOPIC)
        self._world.directory_before = 0
        self._expect(CRM_ANEW)

    def back_up(self) -> None:
        self._backup = copy.deepcopy(self._world.store)
        self._sources_backup = self._world.telemetry.backup()
        self._crm_backup = self._world.crm.backup()

    def restore(self, *, under_them: bool) -> None:
        """The tables are as they were at the backup, but for the rules of erasures, which the operator brings back (docs/erasure.md). The workers are stopped before, or go on: *under_them*."""
        if self._backup is None:
            return
        if not under_them:
            self._stop_workers()
        reached = {at: offset for at, offset in self._world.group.committed.items() if at[0] == LOG_TOPIC}
        if under_them:  # what is written is committed a moment later
            reached |= {
                at: max(row.handled_offset + 1, reached.get(at, 0)) for at, row in self._world.store.positions.items() if at[0] == LOG_TOPIC
            }
        self._backup.rules = self._world.store.rules
        self._world.restore(self._backup)
        places = self._world.broker.topics[LOG_TOPIC]
        if any(offset > max(self.handled(at) + 1, places[at[1]].start) for at, offset in reached.items()):
            self._expect(OLDER, certain=not under_them)
        if not under_them:
            self._start_workers()
        self._world.later(BEAT_S, "heartbeats", self._world.telemetry.beat)

    def go_back(self) -> None:
        """PostgreSQL is restored to an earlier point. No worker can know it; `bionicpro status` compares LSNs and tells the operator."""
        self._go_back("PostgreSQL went back")

    def fail_over(self) -> None:
        """A standby takes over that lacks what was committed last, and has no slot."""
        self._go_back("PostgreSQL failed over")

    def _go_back(self, what: str) -> None:
        self._world.connectors[LOG_TOPIC].begin_anew()
        self._world.telemetry.go_back(self._sources_backup)
        self._lose_unseen(what)

    def crm_goes_back(self) -> None:
        """The CRM is restored to an earlier point: customers are there again, are others, or have never been."""
        self._world.connectors[CRM_TOPIC].begin_anew()
        self._world.crm.go_back(self._crm_backup)
        self._lose_unseen("the CRM went back")

    def empty_tables(self, chance: Random) -> None:
        """Somebody emptied reports, states or both by hand. The log is whole, so that the operator has it read again."""
        self._world.store.empty(*chance.choice((("reports",), ("states",), ("reports", "states"))))
        self._world.watch.forget_contents()
        self._lose_unseen(EMPTIED)

    def rebuild_beside(self, chance: Random) -> None:
        """The same, and the reports go on meanwhile."""
        self._world.faults.met["loss", "nothing, beside"] += 1
        self._world.rebuilding.beside(chance)

    def rebuild_for_nothing(self) -> None:
        """Nothing is lost: an operator wants everything anew."""
        self._lose_unseen("nothing")

    def _lose_unseen(self, what: str) -> None:
        """No worker can know it: the watch tells the operator."""
        self._expect(what)
        self._world.later(NOTICED_S, "the operator acts", self._heal)

    def handled(self, at: tuple[str, int]) -> int:
        row = self._world.store.positions.get(at)
        return -1 if row is None else row.handled_offset

    def _expect(self, what: str, *, certain: bool = True) -> None:
        self.expected, self.certain = what, certain
        self._world.faults.met["loss", what] += 1
        self._world.say(f"lost: {what}")

    # -- the loud stop

    def ended_with_78(self, name: str) -> None:
        """Wrong where nothing was lost. The worker stays down; a while after the first one the operator acts."""
        if self.expected is None:
            self._world.watch.fail("positions", f"{name} refuses its positions")
            return
        if not self.down:
            self._world.later(NOTICED_S, "the operator acts", self._heal)
        self.down.add(name)

    def look(self) -> None:
        """At the end: a loss that nobody was told of is the worst of all."""
        if self.is_waited_for:
            raise Broken("losses", f"{self.expected}, and nobody stopped")

    @property
    def is_waited_for(self) -> bool:
        """Whether somebody has to stop, or an operator to act. Where it is not certain that anything was lost, the reports tell in the end."""
        return self.expected is not None and (self.certain or bool(self.down))

    # -- what the operator does

    def _heal(self) -> None:
        self._stop_workers()
        begins = self._world.generation.begins
        # What was emptied is only filled by all of the log that there ever was.
        if (self.expected == EMPTIED and not begins) or (self.expected == OLDER and self._chance.random() < 0.5):
            self._world.say("the group is set back to where its tables begin")
            self._world.group.set_back(LOG_TOPIC, begins)
        else:
            self._world.rebuilding.in_place(same_topic=self.expected != CRM_ANEW)
        self.expected = self._backup = None
        self.down.clear()
        self._start_workers()

    def _finish_transactions(self) -> None:
        for connector in self._world.connectors.values():
            connector.finish(commit=True)

    def _stop_workers(self) -> None:
        for machine in self._world.machines.values():
            if isinstance(machine, Machine):
                machine.kill()

    def _start_workers(self) -> None:
        for name in self._world.wanted:
            self._world.start_later(name, DOWN_S)

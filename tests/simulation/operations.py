"""What is done to a world: each operation of a schedule, carried out."""

from __future__ import annotations

from functools import partial
from random import Random
from typing import TYPE_CHECKING

from schemas.keys import CRM_TOPIC, LOG_TOPIC
from tests.simulation import schedule as plan
from tests.simulation.client import HEARTBEAT_S
from tests.simulation.group import SESSION_S
from tests.support.log_model import PARTITIONS

if TYPE_CHECKING:
    from tests.simulation.erasing import EraserMachine
    from tests.simulation.machine import Machine
    from tests.simulation.schedule import Operation
    from tests.simulation.world import World


NIGHT_S = 5.0
READ_AGAIN_S = 10.0
OUTAGES_S = (0.5, 3.0, 30.0)


class Operations:
    """``carry_out`` finds an operation's method by its name."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._width = world.schedule.width

    def carry_out(self, operation: Operation) -> None:
        if operation.what in plan.LOSSES and (self._world.losses.expected is not None or self._world.rebuilding.building is not None):
            return  # what was lost before is not healed yet
        self._world.say(f"-- {operation.what}")
        getattr(self, f"_do_{operation.what.replace(' ', '_')}")(operation.chance)

    def _some_event(self, chance: Random) -> int | None:
        ids = sorted(self._world.telemetry.rows)
        recent = ids[-self._width.recent :] if chance.random() < 0.7 else ids
        return chance.choice(recent) if recent else None

    def _do_insert(self, chance: Random) -> None:
        for _ in range(chance.choice((1, 1, 3, 8))):
            self._world.telemetry.insert(plan.event(chance, self._width))

    def _do_update(self, chance: Random) -> None:
        if (found := self._some_event(chance)) is not None:
            self._world.telemetry.update(found, plan.reading(chance, self._width))

    def _do_move(self, chance: Random) -> None:
        if (found := self._some_event(chance)) is not None:
            self._world.telemetry.update(found, {"recorded_us": plan.instant(chance, self._width)})

    def _do_hand_over(self, chance: Random) -> None:
        if (found := self._some_event(chance)) is not None:
            self._world.telemetry.update(found, {"prosthesis_id": chance.choice(self._width.prostheses)})

    def _do_renumber_event(self, chance: Random) -> None:
        if (found := self._some_event(chance)) is not None:
            self._world.telemetry.renumber(found)

    def _do_delete(self, chance: Random) -> None:
        if (found := self._some_event(chance)) is not None:
            self._world.telemetry.delete(found)

    def _do_withdraw(self, chance: Random) -> None:
        if (found := self._some_event(chance)) is not None:
            if self._world.telemetry._window is not None:
                self._world.telemetry._window.pop(found, None)
            self._world.telemetry.withdraw(found)

    def _do_garbage(self, chance: Random) -> None:
        self._world.telemetry.garbage(chance.choice(self._width.prostheses), chance.choice(plan.GARBAGE))

    def _do_misplace(self, chance: Random) -> None:
        """Somebody's producer sends a record once more, to a partition that is not its key's."""
        broker = self._world.broker
        there = [record for record in broker.values(LOG_TOPIC) if record.value and b'"op": "c"' in record.value]
        if there:
            record = chance.choice(there)
            wrong = (record.partition + chance.randrange(1, PARTITIONS)) % PARTITIONS
            broker.append(LOG_TOPIC, wrong, record.key, record.value)

    def _do_recompute(self, chance: Random) -> None:
        self._world.telemetry.recompute(chance.choice(self._width.prostheses))

    def _do_customer(self, chance: Random) -> None:
        number, customers = chance.randrange(self._width.customers), self._world.crm.tables["customers"]
        if number in customers:
            self._world.crm.put("customers", plan.customer(chance, number, customers[number]["user_id"]))

    def _do_user(self, chance: Random) -> None:
        """A customer is another user from now on, once or twice at once; sometimes one that he was before, or none."""
        number, crm = chance.randrange(self._width.customers), self._world.crm
        for _ in range(chance.choice((1, 1, 2))):
            if number in crm.tables["customers"]:
                was = sorted(crm.users[number])
                user_id = chance.choice(was) if chance.random() < 0.2 else f"user-{number}-{len(was)}"
                crm.put("customers", crm.tables["customers"][number] | {"user_id": None if chance.random() < 0.1 else user_id})

    def _do_contract(self, chance: Random) -> None:
        there = sorted(self._world.crm.tables["customers"])
        if there:
            self._world.crm.put("contracts", plan.contract(chance, chance.randrange(self._width.contracts), there, self._width))

    def _do_lose_crm(self, chance: Random) -> None:
        """The CRM's slot was dropped: changes that nobody is told of. Every row is read again a while later, as `bionicpro connectors resnapshot crm` has it done."""
        crm = self._world.crm
        for _ in range(chance.choice((1, 1, 2))):
            contracts, customers = (sorted(crm.tables[table]) for table in ("contracts", "customers"))
            if customers and contracts and chance.random() < 0.8:
                crm.lose("contracts", plan.contract(chance, chance.choice(contracts), customers, self._width))
            elif customers:
                number = chance.choice(customers)
                crm.lose("customers", plan.customer(chance, number, f"user-{number}-{len(crm.users[number])}"))
        self._world.later(chance.random() * READ_AGAIN_S, "the CRM is read again", crm.snapshot)

    def _do_drop_contract(self, chance: Random) -> None:
        there = sorted(self._world.crm.tables["contracts"])
        if there:
            self._world.crm.drop("contracts", chance.choice(there))

    def _do_prosthesis(self, chance: Random) -> None:
        self._world.crm.put("prostheses", plan.prosthesis(chance, chance.choice(self._width.prostheses)))

    def _do_forget_customer(self, chance: Random) -> None:
        numbers = {*range(self._width.customers), *self._world.crm.tables["customers"]}
        self._world.crm.drop_customer(chance.choice(sorted(numbers)))

    def _do_renumber_contract(self, chance: Random) -> None:
        if there := sorted(self._world.crm.tables["contracts"]):
            self._world.crm.renumber_contract(chance.choice(there))

    def _do_renumber(self, chance: Random) -> None:
        if there := sorted(self._world.crm.tables["customers"]):
            self._world.crm.renumber(chance.choice(there))

    def _do_come_again(self, chance: Random) -> None:
        """A customer who was deleted is entered again under his number, as whom he was or as another user, with a contract."""
        crm = self._world.crm
        gone = sorted(crm.users.keys() - crm.tables["customers"].keys())
        if gone:
            number = chance.choice(gone)
            was, taken = sorted(crm.users[number]), {row["user_id"] for row in crm.tables["customers"].values()}
            free = [user for user in was if user not in taken]  # where the CRM went back he may be there under another number
            crm.put("customers", plan.customer(chance, number, chance.choice([*free, f"user-{number}-{len(was)}"])))
            crm.put("contracts", plan.contract(chance, chance.randrange(self._width.contracts), [number], self._width))

    def _do_erase(self, chance: Random) -> None:
        """An operator's request, of a customer who stays."""
        crm = self._world.crm
        if crm.tables["customers"]:
            until_us = crm.now_us if chance.random() < 0.3 else plan.instant(chance, self._width)
            crm.request_erasure(chance.choice(sorted(crm.tables["customers"])), until_us)

    def _do_lose(self, chance: Random) -> None:
        """The slot was dropped: changes that nobody is told of, healed by a snapshot that is asked for at once."""
        self._world.telemetry.end_window()
        for _ in range(chance.randrange(1, 4)):
            found = self._some_event(chance)
            if found is not None and chance.random() < 0.5:
                self._world.telemetry.lose_update(found, plan.event(chance, self._width))
            else:
                self._world.telemetry.lose_insert(plan.event(chance, self._width))
        self._world.telemetry.begin_window() if chance.random() < 0.7 else self._world.telemetry.snapshot()

    def _do_snapshot(self, _chance: Random) -> None:
        self._world.telemetry.snapshot()

    def _do_window(self, _chance: Random) -> None:
        if self._world.telemetry.is_read_again:
            self._world.telemetry.end_window()
        else:
            self._world.telemetry.begin_window()

    def _do_merge(self, _chance: Random) -> None:
        self._world.store.merge()

    def _do_store_fault(self, chance: Random) -> None:
        self._world.faults.arm(*chance.choice(self._world.schedule.faulty))

    def _do_outage(self, chance: Random) -> None:
        self._world.faults.store_is_away = True
        self._world.loop.call_later(chance.choice(OUTAGES_S), setattr, self._world.faults, "store_is_away", False)

    def _machine(self, chance: Random) -> Machine | EraserMachine | None:
        alive = [machine for name, machine in sorted(self._world.machines.items()) if machine.alive]
        return chance.choice(alive) if alive else None

    def _do_kill(self, chance: Random) -> None:
        if (machine := self._machine(chance)) is not None:
            machine.say("is killed")
            machine.kill()
            self._world.start_later(machine.name)

    def _do_pause(self, chance: Random) -> None:
        """It stands still, and does not know it: long enough, and it comes back as a zombie."""
        if (machine := self._machine(chance)) is not None:
            machine.say("stands still")
            machine.paused = True
            self._world.loop.call_later(
                chance.choice((1.0, 8.0, SESSION_S - chance.random() * HEARTBEAT_S, 12.0, 40.0)), setattr, machine, "paused", False
            )

    def _do_night(self, chance: Random) -> None:
        """Nobody has the directory for longer than compaction waits, while the CRM goes on."""
        for name, machine in sorted(self._world.machines.items()):
            if machine.alive:
                machine.kill()
                self._world.start_later(name, NIGHT_S)
        changes = (
            self._do_user,
            self._do_user,
            self._do_customer,
            self._do_contract,
            self._do_drop_contract,
            self._do_forget_customer,
            self._do_renumber,
        )
        for _ in range(chance.randrange(2, 7)):
            do, of = chance.choice(changes), Random(chance.random())
            self._world.later(chance.random() * NIGHT_S * 0.6, f"-- in the night:{do.__name__.replace('_', ' ')[3:]}", partial(do, of))
        self._world.later(NIGHT_S, "-- in the night: compact", partial(self._do_compact, chance))

    def _do_join(self, _chance: Random) -> None:
        free = [name for name in plan.WORKERS if name not in self._world.wanted]
        if free:
            self._world.wanted.append(free[0])
            self._world.start_later(free[0])

    def _do_leave(self, chance: Random) -> None:
        if len(self._world.wanted) > 1:
            name = self._world.wanted.pop(chance.randrange(len(self._world.wanted)))
            if name in self._world.machines:
                self._world.machines[name].say("is stopped")
                self._world.machines[name].kill()

    def _do_rebalance(self, _chance: Random) -> None:
        self._world.group._begin(self._world.loop.time())

    def _do_repeat(self, chance: Random) -> None:
        connector = self._world.connectors[LOG_TOPIC]
        self._world.say(f"connector: {connector.repeat(chance.choice((1, 4, 15)))} records come again")

    def _do_repeat_crm(self, chance: Random) -> None:
        self._world.say(f"connector: {self._world.connectors[CRM_TOPIC].repeat(chance.choice((1, 3)))} changes of the CRM come again")

    def _do_abort(self, _chance: Random) -> None:
        for connector in self._world.connectors.values():
            connector.begin(5)
            connector.finish(commit=False)

    def _do_hold_transaction(self, chance: Random) -> None:
        """Nobody reads past it until it ends."""
        connector = self._world.connectors[LOG_TOPIC]
        if connector.begin(5):
            self._world.loop.call_later(chance.choice((1.0, 8.0)), lambda: connector.finish(commit=chance.random() < 0.7))

    def _do_compact(self, _chance: Random) -> None:
        self._world.compact()

    def _do_expire(self, _chance: Random) -> None:
        self._world.losses.expire()

    def _do_make_anew(self, _chance: Random) -> None:
        self._world.losses.make_anew()

    def _do_rebuild_beside(self, chance: Random) -> None:
        self._world.losses.rebuild_beside(chance)

    def _do_back_up(self, _chance: Random) -> None:
        self._world.losses.back_up()

    def _do_restore(self, chance: Random) -> None:
        self._world.losses.restore(under_them=chance.random() < 0.5)

    def _do_go_back(self, _chance: Random) -> None:
        self._world.losses.go_back()

    def _do_fail_over(self, _chance: Random) -> None:
        self._world.losses.fail_over()

    def _do_crm_goes_back(self, _chance: Random) -> None:
        self._world.losses.crm_goes_back()

    def _do_make_the_crms_topic_anew(self, _chance: Random) -> None:
        self._world.losses.make_crm_anew()

    def _do_expire_while_they_run(self, _chance: Random) -> None:
        self._world.losses.expire_while_they_run()

    def _do_empty_tables(self, chance: Random) -> None:
        self._world.losses.empty_tables(chance)

    def _do_rebuild(self, _chance: Random) -> None:
        self._world.losses.rebuild_for_nothing()

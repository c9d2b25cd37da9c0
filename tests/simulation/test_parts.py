"""The simulated log and group behave as Kafka does where it matters, and the loop as asyncio promises."""

from __future__ import annotations

import asyncio
from functools import partial
from random import Random

import pytest

from tests.simulation.broker import Broker, Transaction
from tests.simulation.group import REBALANCE_S, SESSION_S, TP, Group, Heartbeat
from tests.simulation.operations import Operations
from tests.simulation.schedule import FAULTS, LOSSES, MIXES, THEMES, WORK
from tests.simulation.virtual import Process, VirtualLoop, give_way


@pytest.fixture
def broker() -> Broker:
    made = Broker()
    made.make("log", 1)
    return made


def offsets(broker: Broker) -> list[int]:
    return [record.offset for record in broker.topics["log"][0].read(0, 100)]


def test_a_marker_takes_an_offset_and_aborted_records_are_seen_by_nobody(broker: Broker) -> None:
    for commit in (True, False, True):
        transaction = Transaction()
        broker.append_in(transaction, "log", 0, b"k", b"v")
        broker.finish(transaction, commit=commit)
    assert offsets(broker) == [0, 4]
    assert broker.topics["log"][0].end == 6


def test_nobody_reads_past_an_open_transaction(broker: Broker) -> None:
    transaction = Transaction()
    broker.append("log", 0, b"k", b"v")
    broker.append_in(transaction, "log", 0, b"k", b"v")
    broker.append("log", 0, b"k", b"v")
    assert offsets(broker) == [0]
    broker.finish(transaction, commit=True)
    assert offsets(broker) == [0, 1, 2]


def test_compaction_keeps_the_last_record_of_each_key_at_its_place(broker: Broker) -> None:
    for key in (b"a", b"b", b"a"):
        broker.append("log", 0, key, b"v")
    broker.topics["log"][0].compact()
    assert offsets(broker) == [1, 2]


def group(broker: Broker, told: list[tuple[TP, int]]) -> Group:
    return Group(broker, ("log",), Random(1), lambda at, offset: told.append((at, offset)))


async def test_a_commit_of_a_former_generation_or_member_has_no_effect(broker: Broker) -> None:
    told: list[tuple[TP, int]] = []
    of = group(broker, told)
    first, joined = of.join("", "a", 0.0)
    generation, _ = await joined
    assert of.commit(first, generation, {("log", 0): 5})
    second, _ = of.join("", "b", 1.0)
    assert of.heartbeat(first, generation, 1.0) is Heartbeat.REBALANCE
    of.join(first, "a", 1.5)
    assert not of.commit(first, generation, {("log", 0): 9})
    of.look(2.0 + SESSION_S)
    assert of.heartbeat(second, of.generation, 2.0 + SESSION_S) is Heartbeat.UNKNOWN
    assert told == [(("log", 0), 5)]


async def test_a_member_that_comes_back_under_its_name_keeps_its_partitions(broker: Broker) -> None:
    of = group(broker, [])
    _, joined = of.join("", "a", 0.0)
    before = await joined
    _, again = of.join("", "a", 1.0)
    assert await again == before


async def test_a_rebalance_waits_for_silent_members_no_longer_than_it_may(broker: Broker) -> None:
    of = group(broker, [])
    await of.join("", "a", 0.0)[1]
    _, joined = of.join("", "b", 1.0)
    of.heartbeat(next(iter(of.members)), of.generation, REBALANCE_S)
    of.look(REBALANCE_S)
    assert not joined.done()
    of.look(1.0 + REBALANCE_S)
    assert (await joined)[1] == {("log", 0)}


def test_steps_of_one_process_keep_their_order_and_fibers_give_way_to_others() -> None:
    loop = VirtualLoop(Random(3))
    said: list[str] = []

    def work(name: str) -> None:
        for step in range(3):
            said.append(f"{name}{step}")
            give_way(0.1)

    async def main() -> None:
        tasks = [loop.spawn(Process(name), partial(asyncio.to_thread, work, name)) for name in "ab"]
        await asyncio.gather(*tasks)

    loop.run_until_complete(main())
    loop.close()
    assert [one for one in said if one[0] == "a"] == ["a0", "a1", "a2"]
    assert said != sorted(said)
    assert loop.time() >= 0.3


def test_of_a_killed_process_no_step_is_run_any_more() -> None:
    loop = VirtualLoop(Random(3))
    process, said = Process("p"), []

    async def go_on() -> None:
        while True:
            said.append(loop.time())
            await asyncio.sleep(1)

    async def main() -> None:
        loop.spawn(process, go_on)
        await asyncio.sleep(2.5)
        process.kill()
        await asyncio.sleep(5)

    loop.run_until_complete(main())
    loop.close()
    assert len(said) == 3


def test_every_operation_comes_in_schedules_and_every_mix_names_what_there_is() -> None:
    kinds, losses = {*WORK, *FAULTS}, {*LOSSES, "back up"}
    assert {name.removeprefix("_do_").replace("_", " ") for name in dir(Operations) if name.startswith("_do_")} == kinds | losses
    for mix in MIXES.values():
        assert set(mix.more) <= kinds
    for theme in THEMES:
        assert theme.kinds <= kinds
        assert theme.faulty

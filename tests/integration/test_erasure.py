"""Erasure through the whole pipe: real connectors, the real processor, the real eraser, and ClickHouse's files on disk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from cli.erase.records import Erasure, Records
from reconciliation import repair
from reconciliation.commands import ask_for_rows
from reconciliation.verify import verify
from schemas.erasure import subject_of
from schemas.keys import CRM_TOPIC, LOG_TOPIC
from schemas.mapping import SourceMapping
from tests.support.erasure import FIRST, LAST, EraserProcess, ErasureCase, Person, at, let_files_go
from tests.support.operator import Operator
from tests.support.processor import GROUP, Positions, ProcessorProcess, real_processor, until
from tests.support.system import System
from tests.support.waiting import PATIENCE_S


@dataclass
class Erased:
    """*gone* was deleted in the CRM, *asked* by the operator's command; *other* owned *shared* after *gone* did."""

    world: ErasureCase
    gone: Person
    asked: Person
    other: Person
    shared: int
    own: int
    third: int
    ids: list[int]
    others_reports: list[tuple[object, ...]]
    folders: set[Path]
    generation: str

    def left(self) -> dict[str, int]:
        of_gone = self.world.left_of(self.gone, [self.own], 0, 12) | self.world.left_of(self.gone, [self.shared], 0, 4)
        return of_gone | self.raw_of_asked()

    def raw_of_asked(self) -> dict[str, int]:
        left = self.world.left_of(self.asked, [self.third], 0, 12)
        # The customer stays in the CRM, and so in the document in force.
        return {name: rows for name, rows in left.items() if not (name.endswith(".ownership") and rows == 1)}


@pytest.fixture(scope="module")
def processor(pipe: System, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessorProcess]:
    with real_processor(pipe, tmp_path_factory.mktemp("processor")) as started:
        yield started


@pytest.fixture(scope="module")
def eraser(pipe: System, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EraserProcess]:
    process = EraserProcess(pipe, tmp_path_factory.mktemp("eraser"), sweep_s=2.0)
    process.start()
    yield process
    assert process.stop() == 0, process.said()[-2000:]


@pytest.fixture(scope="module")
def world(pipe: System) -> Iterator[ErasureCase]:
    made = ErasureCase(pipe)
    yield made
    made.close()


@pytest.fixture(scope="module")
def operator(pipe: System) -> Operator:
    return Operator(pipe.variables("operator"))


def all_equal(world: ErasureCase) -> None:
    result = verify(world.settings(), FIRST, LAST)
    assert result.ok, result.as_json()


def erasure_of(world: ErasureCase, person: Person) -> Erasure | None:
    mine = [e for e in Records(world.clickhouse, "bionicpro").erasures() if e.parts[0].subject == subject_of(person.user_id)]
    return mine[-1] if mine else None


def wait_for_receipt(world: ErasureCase, person: Person) -> Erasure:
    until(lambda: (found := erasure_of(world, person)) is not None and found.is_finished, "the erasure has its receipt", PATIENCE_S)
    found = erasure_of(world, person)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def erased(world: ErasureCase, processor: ProcessorProcess, eraser: EraserProcess, operator: Operator) -> Iterator[Erased]:
    """Two people with data, one prosthesis handed on; then one is deleted in the CRM and the other erased by command, the eraser killed in between."""
    gone, asked, other = world.person(), world.person(), world.person()
    shared, own, third = world.prosthesis(), world.prosthesis(), world.prosthesis()
    world.contract(gone, shared, 0, 4)
    world.contract(other, shared, 4)
    world.contract(gone, own, 0)
    world.contract(asked, third, 0)
    ids = world.send(shared, range(8)) + world.send(own, range(3)) + world.send(third, range(3))
    all_equal(world)
    before = world.live_reports(other)
    assert len(before) == 4
    with world.retired_generation([shared, own, third]) as generation:
        let_files_go(world.clickhouse)
        assert {name.split(".")[0] for name in world.left_of(gone, [shared, own], 0, 4)} == {"bionicpro_g1", generation}
        folders = world.folders_of([shared, own, third])
        world.delete(gone)
        until(lambda: erasure_of(world, gone) is not None, "a rule is stored", PATIENCE_S)
        eraser.kill()
        eraser.start()
        answer = operator.json("erase", "--customer", str(asked.customer_id), "--yes", "--wait", str(PATIENCE_S))
        assert (answer["finished"], answer["prostheses"]) == (True, 1)
        wait_for_receipt(world, gone)
        yield Erased(world, gone, asked, other, shared, own, third, ids, before, folders, generation)


@pytest.mark.timeout(300)
def test_nothing_is_left_in_any_generation_nor_in_the_files(erased: Erased) -> None:
    assert erased.left() == {}
    assert erased.folders
    assert {folder for folder in erased.folders if folder.exists()} == set()


def test_the_receipt_counts_what_was_removed_and_names_nobody(erased: Erased) -> None:
    for person, prostheses in ((erased.gone, 2), (erased.asked, 1)):
        erasure = erasure_of(erased.world, person)
        assert erasure is not None
        assert (erasure.expected, erasure.finished) == (prostheses, prostheses)
        for database in ("bionicpro_g1", erased.generation):
            assert erasure.removed[f"{database}.telemetry_events"] >= 60
            assert erasure.removed[f"{database}.user_daily_reports"] >= 3
        for word in (person.user_id, person.name):
            assert word not in str(erasure.as_json())
        for part in erasure.parts:
            assert part.started_at is not None
            assert part.removed_at is not None
            assert part.finished_at is not None
            assert part.issued_at <= part.started_at <= part.removed_at <= part.finished_at


def test_who_owned_the_same_prosthesis_later_keeps_every_report(erased: Erased) -> None:
    assert erased.world.live_reports(erased.other) == erased.others_reports


def test_nothing_is_left_of_who_was_named_by_mistake_and_nothing_is_taken_from_who_was_meant(erased: Erased, world: ErasureCase) -> None:
    mistaken, meant, prosthesis = world.person(), world.person(), world.prosthesis()
    world.contract(mistaken, prosthesis, 0)
    world.send(prosthesis, range(3))
    all_equal(world)
    assert len(world.live_reports(mistaken)) == 3
    world.correct_owner(prosthesis, meant)
    all_equal(world)
    before = world.live_reports(meant)
    world.delete(mistaken)
    wait_for_receipt(world, mistaken)
    assert world.left_of(mistaken, [], 0, 12) == {}
    assert world.live_reports(meant) == before
    assert len(before) == 3


@pytest.mark.parametrize("renumbered", [False, True], ids=["", "whose number changed since"])
def test_what_was_made_under_a_former_user_id_goes_with_the_customer(erased: Erased, world: ErasureCase, renumbered: bool) -> None:
    former, prosthesis = world.person(), world.prosthesis()
    world.contract(former, prosthesis, 0)
    world.send(prosthesis, range(3))
    all_equal(world)
    present = world.give_another_login(former)
    all_equal(world)
    assert (len(world.live_reports(former)), len(world.live_reports(present))) == (0, 3)
    assert world.left_of(former, [], 0, 12) != {}  # tombstones
    if renumbered:
        world.renumber(present)
        all_equal(world)
        assert len(world.live_reports(present)) == 3
    world.delete(present)
    wait_for_receipt(world, present)
    assert world.left_of(former, [prosthesis], 0, 12) == {}
    assert world.left_of(present, [prosthesis], 0, 12) == {}


def test_what_postgresql_still_has_of_an_erased_time_is_no_difference(erased: Erased) -> None:
    all_equal(erased.world)
    plan = repair.plan(erased.world.settings(), FIRST, LAST)
    assert (dict(plan.raw.missing), dict(plan.raw.surplus)) == ({}, {})


def test_a_late_upload_a_correction_and_a_snapshot_bring_nothing_back(erased: Erased) -> None:
    world = erased.world
    late = world.send(erased.own, [1, 2]) + world.send(erased.third, [1]) + world.send(erased.shared, [2])
    # An event of the later owner that moves into the erased time, and one that was there and changes.
    world.telemetry.execute("UPDATE telemetry.telemetry_events SET recorded_at = %s WHERE event_id = %s", (at(2, 3), erased.ids[-61 - 60]))
    world.telemetry.execute("UPDATE telemetry.telemetry_events SET active_ms = 7 WHERE event_id = ANY(%s)", (erased.ids[:10],))
    world.telemetry.execute("DELETE FROM telemetry.telemetry_events WHERE event_id = ANY(%s)", (late[:5],))
    ask_for_rows(world.settings().telemetry_db, SourceMapping.read(), [str(i) for i in (*erased.ids, *late[5:])])
    all_equal(world)
    # The snapshot's rows come after its signal, which is behind the barrier: a row of somebody else's day tells that they have come.
    all_equal(world)
    assert erased.left() == {}


@pytest.mark.timeout(300)
def test_a_replay_of_both_topics_from_their_beginnings_brings_nothing_back(
    pipe: System, erased: Erased, processor: ProcessorProcess
) -> None:
    positions = Positions(pipe)
    try:
        processor.stop()
        reached = positions.committed()
        until(lambda: positions.broker.group(GROUP).members == (), "the group is empty")
        for topic, found in positions.broker.topics([LOG_TOPIC, CRM_TOPIC]).items():
            positions.broker.commit(GROUP, topic, found.starts)
        processor.start()
        until(lambda: all(positions.committed().get(p, 0) >= offset for p, offset in reached.items()), "the log is handled again")
    finally:
        positions.close()
    all_equal(erased.world)
    assert erased.world.live_reports(erased.gone) == []
    until(lambda: erased.left() == {}, lambda: f"left: {erased.left()}", PATIENCE_S)
    raw = {name: rows for name, rows in erased.left().items() if name.endswith("telemetry_events")}
    assert raw == {}


def test_what_a_writer_that_should_be_dead_brings_is_swept_away(erased: Erased, pipe: System) -> None:
    """A frozen worker may wake at any time: it writes what it held, with versions of then."""
    world = erased.world
    world.clickhouse.execute(
        "INSERT INTO bionicpro_g1.telemetry_events (prosthesis_id, event_id_lo, recorded_at, facets, lsn, log_offset) VALUES",
        [(str(erased.own), 1, at(1, 1) + timedelta(seconds=1), 1, 5, 5)],
    )
    world.clickhouse.execute(
        "INSERT INTO bionicpro_g1.user_daily_reports (user_id, report_date, prosthesis_id, customer_name, event_count, version) VALUES",
        [(erased.gone.user_id, FIRST, str(erased.own), erased.gone.name, 1, 5)],
    )
    until(lambda: erased.left() == {}, lambda: f"left: {erased.left()}", PATIENCE_S)


def test_the_list_shows_every_erasure_and_its_state(erased: Erased, operator: Operator) -> None:
    shown = {erasure["erasure_id"]: erasure for erasure in operator.json("erase", "--list")}
    for person in (erased.gone, erased.asked):
        mine = erasure_of(erased.world, person)
        assert mine is not None
        assert shown[mine.erasure_id]["finished"] is True


def test_a_customer_whom_nobody_knows_is_refused_in_one_line(operator: Operator, pipe: System) -> None:
    result = operator("erase", "--customer", "1", "--user", "2")
    assert result.exit_code == 2
    result = operator("erase", "--customer", "999999999999", "--yes")
    assert result.exit_code == 1
    assert "the CRM knows no customer" in result.stderr

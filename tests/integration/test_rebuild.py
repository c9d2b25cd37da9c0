"""``bionicpro rebuild`` on a pipe of its own: from the tables, from PostgreSQL after the log was lost, interrupted, with readers all the while."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from clickhouse_driver import Client
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions  # type: ignore[attr-defined]  # its stubs lack it

from cli.broker import Broker
from cli.erase.records import Records
from cli.rebuild.progress import STEPS, Step
from local import supervision
from local.servers import clickhouse
from schemas.erasure import subject_of
from schemas.generations import group_of
from schemas.keys import CRM_TOPIC, LOG_TOPIC
from schemas.topics import log_partitions
from stream_processor.adapters.compacted_topic import records_before
from tests.support.erasure import EraserProcess, ErasureCase, Person, let_files_go
from tests.support.expendable import Site
from tests.support.losses import expire, lose_slot
from tests.support.processor import GROUP, REPOSITORY, until
from tests.support.processor_case import Case
from tests.support.system import System
from tests.support.waiting import PATIENCE_S

CLICKHOUSE = "clickhouse"
HEARTBEATS_S = 3.0  # by then something stands in every partition

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def site(expendable: System) -> Iterator[Site]:
    found = Site(expendable)
    yield found
    found.close()


@pytest.fixture(scope="module")
def fleet(site: Site) -> Iterator[Case]:
    """Eight prostheses with owners and events of six days."""
    case = Case(site.system, number=10, prostheses=8)
    try:
        for prosthesis in case.prostheses:
            case.own(prosthesis)
        with case.loaded() as load:
            load.wait_for(more=1_000)
        assert case.verify().ok
        yield case
    finally:
        case.close()


class Reader(threading.Thread):
    """Reads the fleet's reports as the service does, without pause; notes how many rows there were each time."""

    def __init__(self, site: Site, fleet: Case) -> None:
        super().__init__(name="reader")
        self._client = Client(**site.system.clickhouse.client("reader"), database="bionicpro")
        self._fleet = fleet
        self._enough = threading.Event()
        self.counts: set[int] = set()
        self.error: BaseException | None = None

    def run(self) -> None:
        users = [self._fleet.user_id(prosthesis) for prosthesis in self._fleet.prostheses]
        query = "SELECT count() FROM reports_of_users(users = %(users)s, first = %(first)s, last = %(last)s)"
        try:
            while not self._enough.wait(0.05):
                self.counts.add(self._client.execute(query, {"users": users, "first": self._fleet.first, "last": self._fleet.last})[0][0])
        except BaseException as error:  # told by ``end``
            self.error = error

    def end(self) -> set[int]:
        self._enough.set()
        self.join(timeout=PATIENCE_S)
        self._client.disconnect()
        if self.error is not None:
            raise self.error
        return self.counts


def test_a_rebuild_from_the_tables_is_equal_and_readers_and_workers_move_to_it(site: Site, fleet: Case) -> None:
    before, old = fleet.reports(), site.serving()
    reader = Reader(site, fleet)
    reader.start()
    told = site.operator.json(*site.rebuild)
    assert reader.end() == {len(before)}
    assert (told["generation"], told["old"], told["handed_over"]) == (old + 1, old, True)
    assert told["rows_compared"] >= len(before)
    assert fleet.reports() == before
    assert site.states()[old] == "retired"
    site.wait_until_well()
    fleet.insert(fleet.prostheses[0], recorded_at=fleet.at(2, 3))
    assert fleet.verify().ok
    assert fleet.reports() != before


def test_a_generation_that_is_served_or_written_is_not_dropped_and_an_old_one_is_gone_for_good(site: Site, fleet: Case) -> None:
    serving = site.serving()
    refused = site.operator("schema", "drop-generation", str(serving), "--yes", *site.accounts)
    assert refused.exit_code == 1
    assert str(serving) in refused.output
    old = serving - 1
    assert site.operator("schema", "drop-generation", str(old), "--yes", *site.accounts).exit_code == 0
    assert site.states()[old] == "dropped"
    assert site.auditor.execute("SELECT count() FROM system.databases WHERE name = %(n)s", {"n": f"bionicpro_g{old}"}) == [(0,)]
    assert fleet.verify().ok


def test_a_rebuild_killed_at_each_step_goes_on_where_it_was(site: Site, fleet: Case) -> None:
    """``kill -9`` of the command as soon as a step has begun; the next run goes on with the same generation."""
    before, old = fleet.reports(), site.serving()
    steps: tuple[Step, ...] = ("raw", "fold", "verify")
    for step in steps:
        kill_at(site, old + 1, step)
        assert step_of(site, old + 1) is not None
        assert fleet.reports() == before
    told = site.operator.json(*site.rebuild)
    assert (told["generation"], told["old"]) == (old + 1, old)
    assert fleet.reports() == before
    site.wait_until_well()
    assert fleet.verify().ok


def make_anew(site: Site, broker: Broker, topic: str) -> None:
    """Delete the topic and create it again, as an accident would, with everything running."""
    before = topic_id(broker, topic)
    broker.delete_topic(topic)
    until(lambda: topic_id(broker, topic) is None, "the topic is gone")
    assert site.operator("topics", "apply").exit_code == 0
    until(lambda: topic_id(broker, topic) not in {None, before}, "the topic is there again")


def topic_id(broker: Broker, topic: str) -> str | None:
    try:
        found = broker.topics([topic]).get(topic)
    except KafkaException:
        return None  # its partitions have no leader at the moment
    return found.topic_id if found else None


def kill_at(site: Site, generation: int, step: Step) -> None:
    running = subprocess.Popen(
        [sys.executable, "-m", "cli", *site.rebuild], cwd=REPOSITORY, env=dict(site.operator.variables) | {"PATH": "/usr/bin:/bin"},
        stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        until(lambda: is_at(site, generation, step) or running.poll() is not None, f"the rebuild comes to {step}")
        assert running.poll() is None, "the rebuild ended before it could be killed"
    finally:
        running.kill()
        running.wait(30)


def is_at(site: Site, generation: int, step: Step) -> bool:
    """At the step or beyond: some take no time."""
    found = step_of(site, generation)
    return found is not None and STEPS.index(found) >= STEPS.index(step)


def step_of(site: Site, generation: int) -> Step | None:
    """The step that is to be done next, None where the generation is not there."""
    rows = site.auditor.execute(
        "SELECT JSONExtractString(detail, 'step') FROM generations FINAL WHERE generation = %(g)s", {"g": generation}
    )
    return rows[0][0] if rows else None


def test_added_partitions_stop_the_processor_and_a_rebuild_says_what_to_do_first(site: Site, fleet: Case) -> None:
    admin = AdminClient({**site.system.kafka.client()})
    admin.create_partitions([NewPartitions(LOG_TOPIC, log_partitions() + 1)])[LOG_TOPIC].result(30)
    assert "topics apply" in site.wait_for_problem(f"has {log_partitions() + 1} partitions")
    site.wait_for_log("positions are of 24", "was made anew or changed while the worker ran")
    site.wait_until_processor_stays_down()
    result = site.operator(*site.rebuild)
    assert result.exit_code == 1
    assert "delete the topic" in result.output


def test_a_log_that_was_made_anew_stops_the_processor_is_named_and_healed_by_a_rebuild_from_postgresql(site: Site, fleet: Case) -> None:
    old, broker = site.serving(), Broker(site.system.kafka.settings())
    make_anew(site, broker, LOG_TOPIC)
    fleet.insert(fleet.prostheses[1], recorded_at=fleet.at(3, 4))
    assert "bionicpro rebuild" in site.wait_for_problem("made anew")
    site.start_processor()  # it stays down since partitions were added, and refuses again
    site.wait_for_log("was made anew (its id")
    site.wait_until_processor_stays_down()
    told = site.operator.json(*site.rebuild)
    assert (told["generation"], told["old"], told["handed_over"]) == (old + 1, old, True)
    site.wait_until_well()
    assert fleet.verify().ok
    fleet.insert(fleet.prostheses[2], recorded_at=fleet.at(3, 5))
    assert fleet.verify().ok


def test_a_group_that_is_set_back_to_before_the_rebuild_stays_down_and_replay_sets_it_right(site: Site, fleet: Case) -> None:
    """What lies there is of what the tables were rebuilt from."""
    broker, group = Broker(site.system.kafka.settings()), group_of(GROUP, site.serving())
    site.stop_processor()
    until(lambda: broker.group(group).members == (), "the group is empty")
    broker.commit(group, LOG_TOPIC, dict.fromkeys(range(log_partitions()), 0))
    site.start_processor()
    assert "bionicpro replay" in site.wait_for_problem("set back to before its tables begin")
    site.wait_for_log("but these tables begin at")
    site.wait_until_processor_stays_down()
    until(lambda: broker.group(group).members == (), "the session of the worker that stopped is over")
    told = site.operator.json("replay", "--from", "2002-01-01", "--yes")
    assert told["group"] == group
    assert all(offset > 0 for offset in told["offsets"].values())
    fleet.insert(fleet.prostheses[1], recorded_at=fleet.at(3, 6))
    site.start_processor()
    site.wait_until_well()
    assert fleet.verify().ok


@pytest.mark.parametrize("running", [False, True], ids=["it is down and nothing is committed", "it runs and lags"])
def test_records_that_expired_before_they_were_read_are_named_and_made_good_by_a_rebuild(site: Site, fleet: Case, running: bool) -> None:
    """A worker that runs is told by nobody: its client would go on where the log begins. It lags here because it stands still, for less than its session."""
    old, broker = site.serving(), Broker(site.system.kafka.settings())
    if running:
        os.kill(site.processor_id(), signal.SIGSTOP)
    else:
        site.stop_processor()
    lost = [fleet.insert(prosthesis, recorded_at=fleet.at(1, 20)) for prosthesis in fleet.prostheses]
    fleet.telemetry.execute("DELETE FROM telemetry.telemetry_events WHERE event_id = %s", (lost[0],))
    fleet.telemetry.execute("UPDATE telemetry.telemetry_events SET active_ms = 77 WHERE event_id = %s", (lost[1],))
    time.sleep(HEARTBEATS_S)
    expire(broker, LOG_TOPIC)
    if running:
        os.kill(site.processor_id(), signal.SIGCONT)
    else:
        group = group_of(GROUP, old)
        until(lambda: broker.group(group).members == (), "the group is empty")
        broker.forget_group(group)
        site.start_processor()
    assert "bionicpro rebuild" in site.wait_for_problem("expired before it was read")
    site.wait_for_log("records are lost")
    site.wait_until_processor_stays_down()
    told = site.operator.json(*site.rebuild)
    assert (told["generation"], told["old"], told["handed_over"]) == (old + 1, old, True)
    site.wait_until_well()
    assert fleet.verify().ok


def test_an_erasure_after_a_rebuild_reaches_contracts_that_were_deleted_before_it(site: Site, fleet: Case, tmp_path: Path) -> None:
    """Of such a contract nothing tells the new directory: compaction has taken it from the topic, and the CRM has it no more."""
    with closing(ErasureCase(site.system)) as world:
        person, former, own = world.person(), world.prosthesis(), world.prosthesis()
        for prosthesis in (former, own):
            world.contract(person, prosthesis, 0)
            world.send(prosthesis, range(3))
        until(lambda: len(world.live_reports(person)) == 6, "the reports of both prostheses are there")
        world.crm.execute("DELETE FROM crm.contracts WHERE prosthesis_id = %s", (former,))
        until(lambda: len(world.live_reports(person)) == 3, "the reports of the deleted contract are gone")
        broker, group = Broker(site.system.kafka.settings()), group_of(GROUP, site.serving())
        until(lambda: has_handled_the_crm(broker, group), "the directory has handled all of it")
        forget_the_crms_changes(site)
        site.operator.json(*site.rebuild, "--source", "postgres")
        let_files_go(world.clickhouse)
        assert any(name.endswith(f"_g{site.serving()}.telemetry_events") for name in world.left_of(person, [former], 0, 3))
        eraser = EraserProcess(site.system, tmp_path)
        eraser.start()
        try:
            world.delete(person)
            until(lambda: not world.left_of(person, [former, own], 0, 3), lambda: str(world.left_of(person, [former, own], 0, 3)), 120)
            until(lambda: has_receipt(world, person), "the erasure has its receipt")
            leave_a_document(world, f"bionicpro_g{site.serving()}", own, person)
            # PostgreSQL has these events for ever, and no rebuild waits for them.
            site.operator.json(*site.rebuild, "--source", "postgres")
            # Of tables that are retired the newest document goes too; and crm.changes may still tell of the person, so that one of before the deletion
            # can be in the new tables. The eraser does not wait an hour.
            until(lambda: not world.left_of(person, [former, own], 0, 3), lambda: str(world.left_of(person, [former, own], 0, 3)), 120)
        finally:
            eraser.stop()


def has_receipt(world: ErasureCase, person: Person) -> bool:
    mine = [e for e in Records(world.clickhouse, "bionicpro").erasures() if e.parts[0].subject == subject_of(person.user_id)]
    return bool(mine) and all(erasure.is_finished for erasure in mine)


def leave_a_document(world: ErasureCase, database: str, prosthesis: int, person: Person) -> None:
    """As a worker writes it that has read the person's contract and not yet its end. It is the newest one, which stays as long as its tables are served, and which no merge takes."""
    document = f'{{"intervals": [{{"user_id": "{person.user_id}"}}]}}'
    world.clickhouse.execute(
        f"INSERT INTO {database}.ownership (prosthesis_id, crm_offset, document) VALUES", [(str(prosthesis), 1 << 40, document)]
    )
    assert world.left_of(person, [], 0, 0)


def test_an_erasure_whose_commands_the_log_has_lost_is_sent_again_by_a_rebuild(site: Site, tmp_path: Path) -> None:
    """The directory had decided on it while the store was away, so nobody wrote the rule; then the log went, and compaction took the customer's end."""
    with closing(ErasureCase(site.system)) as world:
        person, prosthesis = world.person(), world.prosthesis()
        world.contract(person, prosthesis, 0)
        world.send(prosthesis, range(3))
        until(lambda: len(world.live_reports(person)) == 3, "the reports are there")
        broker, group = Broker(site.system.kafka.settings()), group_of(GROUP, site.serving())
        supervision.stop_programs(site.system.instance, [CLICKHOUSE])
        try:
            world.delete(person)
            until(lambda: tells(site, person.customer_id, gone=True), "the topic tells it")
            until(lambda: has_handled_the_crm(broker, group), "the directory has decided on it")
            site.stop_processor()
        finally:
            supervision.start_programs(site.system.instance, [CLICKHOUSE])
            until(lambda: clickhouse.ready(site.system.instance), "ClickHouse answers")
        forget_the_crms_changes(site)
        make_anew(site, broker, LOG_TOPIC)
        assert world.live_reports(person)
        site.operator.json(*site.rebuild, "--source", "postgres")
        let_files_go(world.clickhouse)
        eraser = EraserProcess(site.system, tmp_path)
        eraser.start()
        try:
            until(lambda: not world.left_of(person, [prosthesis], 0, 3), lambda: str(world.left_of(person, [prosthesis], 0, 3)))
        finally:
            eraser.stop()
        site.start_processor()
        site.wait_until_well()


def test_a_contract_that_the_topic_tells_and_the_crm_has_not_is_taken_back_by_a_rebuild(site: Site, fleet: Case) -> None:
    """Nobody had handled it when the CRM was restored to before it: the former directory does not know it, and no change will ever tell that it has gone."""
    with closing(ErasureCase(site.system)) as world:
        person, prosthesis = world.person(), world.prosthesis()
        world.send(prosthesis, range(3))
        broker, group = Broker(site.system.kafka.settings()), group_of(GROUP, site.serving())
        until(lambda: has_handled_the_crm(broker, group), "the directory has handled all of it")
        site.stop_processor()
        contract = world.contract(person, prosthesis, 0)
        until(lambda: tells(site, contract), "the topic tells it")
        lose_slot(site.system, "bionicpro_crm")
        world.crm.execute("DELETE FROM crm.contracts WHERE prosthesis_id = %s", (prosthesis,))
        assert site.operator("connectors", "resnapshot", "crm", "--yes").exit_code == 0
        rebuilt = site.operator(*site.rebuild, "--source", "postgres")
        assert rebuilt.exit_code == 0, rebuilt.output
        assert "rows that the CRM has no more are taken back" in rebuilt.output
        assert "mending" not in rebuilt.output, "its comparison would find such a report too, but no erasure's rule that is missing"
        site.start_processor()
        site.wait_until_well()
        assert fleet.verify().ok
        assert world.live_reports(person) == []
        world.contract(person, prosthesis, 0)
        until(lambda: len(world.live_reports(person)) == 3, "the same time counts once it is told again")


def tells(site: Site, row_id: int, *, gone: bool = False) -> bool:
    """Whether the CRM's topic has a record of the row, or of its end."""
    settings = site.system.kafka.settings()
    records = records_before(settings, CRM_TOPIC, Broker(settings).topics([CRM_TOPIC])[CRM_TOPIC].ends[0] - 1)
    return any(str(row_id).encode() in (record.key or b"") and (record.value is None) is gone for record in records)


def has_handled_the_crm(broker: Broker, group: str) -> bool:
    """All that stands in the topic now. The end of a transaction counts as a record and is never handled."""
    return broker.committed(group, CRM_TOPIC, [0]).get(0, 0) >= broker.topics([CRM_TOPIC])[CRM_TOPIC].ends[0] - 1


def forget_the_crms_changes(site: Site) -> None:
    """All that the directory has handled leaves the topic, as rows do that compaction takes; those that the CRM still has come again by a snapshot."""
    broker, group = Broker(site.system.kafka.settings()), group_of(GROUP, site.serving())
    handled = broker.committed(group, CRM_TOPIC, [0])[0]
    admin = AdminClient({**site.system.kafka.settings().librdkafka(), "log_level": 0})
    keep_records(admin, "compact,delete")  # of a topic that is only compacted the broker deletes none
    try:
        broker.delete_before(CRM_TOPIC, 0, handled)
    finally:
        keep_records(admin, "compact")


def keep_records(admin: AdminClient, policy: str) -> None:
    """Set the clean-up policy of the CRM's topic."""
    entry = ConfigEntry("cleanup.policy", policy, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ConfigResource.Type.TOPIC, CRM_TOPIC, incremental_configs=[entry])
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(timeout=PATIENCE_S)

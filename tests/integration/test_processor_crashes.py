"""The real processor, killed, replayed and given wrong tables, under a load through the real pipe."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from clickhouse_driver import Client

from clickhouse.migrator import Migrator
from schemas.generations import changelog_of, group_of
from schemas.keys import CRM_TOPIC, LOG_TOPIC
from schemas.topics import log_partitions
from service_kit.settings import ClickHouseSettings
from stream_processor.adapters.compacted_topic import records_before
from tests.chaos.armory import Armory
from tests.chaos.worker import FOLDER
from tests.support.processor import GROUP, SUPERVISED, Positions, ProcessorProcess, real_processor, until
from tests.support.processor_case import DAYS, Case
from tests.support.system import System

EXIT_WRONG_POSITIONS = 78
EMPTY_GENERATION = 977
KILLS = 3
SAMPLES = 20


@pytest.fixture(scope="module")
def processor(pipe: System, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessorProcess]:
    with real_processor(pipe, tmp_path_factory.mktemp("processor")) as started:
        yield started


@pytest.fixture
def positions(pipe: System) -> Iterator[Positions]:
    found = Positions(pipe)
    yield found
    found.close()


@pytest.fixture(scope="module")
def fleet(pipe: System) -> Iterator[Case]:
    """Twelve prostheses, each with an owner."""
    case = Case(pipe, number=0, prostheses=12)
    for prosthesis in case.prostheses:
        case.own(prosthesis)
    yield case
    case.close()


def all_equal(fleet: Case) -> None:
    """Every report of the fleet is what PostgreSQL says, and there are some for each prosthesis."""
    result = fleet.verify()
    assert result.ok, result.as_json()
    assert result.found.rows >= 4 * len(fleet.prostheses)


@pytest.mark.timeout(900)
def test_kill_9_in_the_middle_of_a_load_loses_and_doubles_nothing(processor: ProcessorProcess, positions: Positions, fleet: Case) -> None:
    with fleet.loaded() as load:
        for _ in range(KILLS):
            positions.wait_for_more()
            load.wait_for(more=1_000)
            processor.kill()
            load.wait_for(more=500)
            processor.start()
        positions.wait_for_more()
    assert load.rows >= KILLS * 1_500
    all_equal(fleet)


@pytest.mark.timeout(600)
def test_committed_offsets_never_run_ahead_of_what_the_tables_hold(processor: ProcessorProcess, positions: Positions, fleet: Case) -> None:
    until(lambda: bool(positions.committed()), "the group commits")
    first = sum(positions.handled().values())
    with fleet.loaded() as load:
        for _ in range(SAMPLES):
            load.wait_for(more=100)
            # In this order: what is handled only grows, so what was committed before must be in it.
            committed, handled = positions.committed(), positions.handled()
            ahead = {at: (offset, handled.get(at)) for at, offset in committed.items() if offset > handled.get(at, -1) + 1}
            assert ahead == {}
    assert sum(positions.handled().values()) > first


@pytest.mark.timeout(900)
def test_offsets_reset_to_the_beginning_change_no_report(processor: ProcessorProcess, positions: Positions, fleet: Case) -> None:
    with fleet.loaded() as load:
        load.wait_for(more=500)
    all_equal(fleet)
    before = fleet.reports()
    assert len(before) >= 4 * len(fleet.prostheses)
    processor.stop()
    reached = positions.committed()
    until(lambda: positions.broker.group(GROUP).members == (), "the group is empty")
    for topic, found in positions.broker.topics([LOG_TOPIC, CRM_TOPIC]).items():
        positions.broker.commit(GROUP, topic, found.starts)
    assert sum(positions.committed().values()) < sum(reached.values())
    processor.start()
    until(lambda: all(positions.committed().get(at, 0) >= offset for at, offset in reached.items()), "all of the log is handled again")
    all_equal(fleet)
    assert fleet.reports() == before


@pytest.mark.timeout(600)
def test_the_directorys_changelog_has_a_contract_before_its_document_is_sent(
    pipe: System, processor: ProcessorProcess, positions: Positions, fleet: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a worker could die in between, and the contract's tombstone, all that compaction may leave of it, would tell nobody whose reports have to go."""
    with fleet.loaded() as load:
        load.wait_for(more=500)
    armory = Armory(tmp_path / "armory")
    monkeypatch.setenv(FOLDER, str(armory.folder))
    processor.stop()
    dying = ProcessorProcess(pipe.variables(SUPERVISED), tmp_path, "tests.chaos.worker")
    dying.start()
    try:
        positions.wait_for_more()
        armory.arm("directory-before-send", "kill")
        prosthesis = fleet.prostheses[0]
        ends = fleet.at(DAYS, 0)
        fleet.crm.execute("UPDATE crm.contracts SET ends_at = %s WHERE contract_id = %s", (ends, prosthesis))
        assert dying.exit_code() == -signal.SIGKILL
        changelog = changelog_of(GROUP)
        (end,) = positions.broker.topics([changelog])[changelog].ends.values()
        rows = {record.key: json.loads(record.value or b"{}") for record in records_before(pipe.kafka.settings(), changelog, end)}
        assert datetime.fromisoformat(rows[f'"contracts:{prosthesis}"'.encode()]["ends_at"]) == ends
    finally:
        dying.stop()
        processor.start()
    all_equal(fleet)


@pytest.fixture
def empty_generation(pipe: System) -> Iterator[int]:
    """The tables of a generation that nobody has written to; gone again afterwards."""
    variables = pipe.variables("migrator")
    settings = ClickHouseSettings.model_validate(
        {name: variables[f"BIONICPRO_CLICKHOUSE__{name.upper()}"] for name in ("host", "port", "user", "password")}
    )
    migrator = Migrator(settings)
    migrator.create_generation(EMPTY_GENERATION)
    migrator.close()
    yield EMPTY_GENERATION
    client = Client(**pipe.clickhouse.client("migrator"))
    client.execute(f"DROP DATABASE {settings.database}_g{EMPTY_GENERATION}")
    client.execute(f"ALTER TABLE {settings.database}.generations DELETE WHERE generation = {EMPTY_GENERATION} SETTINGS mutations_sync = 1")
    client.disconnect()


def test_committed_offsets_without_their_tables_stop_the_processor_with_a_clear_message(
    pipe: System, processor: ProcessorProcess, positions: Positions, empty_generation: int, tmp_path: Path
) -> None:
    until(lambda: any(positions.committed().values()), "the group commits")
    group, partitions = group_of(GROUP, empty_generation), range(log_partitions())
    committed = positions.committed()
    positions.broker.commit(group, LOG_TOPIC, committed)
    variables = pipe.variables(SUPERVISED) | {"BIONICPRO_PROCESSOR__GENERATION": str(empty_generation)}
    processor.stop()  # its port is needed
    astray = ProcessorProcess(variables, tmp_path)
    astray.begin()
    try:
        assert astray.exit_code() == EXIT_WRONG_POSITIONS, astray.said()[-3000:]
        assert "records would be skipped" in astray.said()
        assert f"Set the group {group} back: `bionicpro replay --from` a moment before the backup" in astray.said()
        assert positions.broker.committed(group, LOG_TOPIC, partitions) == committed
    finally:
        astray.stop()
        processor.start()
        until(lambda: positions.broker.group(group).members == (), "the group is empty")
        positions.broker.forget_group(group)

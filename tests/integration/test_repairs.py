"""Rows altered by hand, offsets set back with Kafka's own tool, days that are closed: on a pipe of its own, each healed or kept as it should be."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from operator import methodcaller
from pathlib import Path
from typing import Any
from unittest import mock

import psycopg
import pytest
from clickhouse_driver import Client

from cli.broker import Broker
from local.instance import write_private
from local.servers.kafka import class_path
from local.servers.program import java
from schemas.generations import group_of
from schemas.keys import LOG_TOPIC
from service_kit.generations import Generation, begins, read_generations
from tests.support.expendable import Site
from tests.support.processor import GROUP, REPOSITORY, until
from tests.support.processor_case import Case, Load, equal_case
from tests.support.system import System
from tests.support.waiting import PATIENCE_S

pytestmark = pytest.mark.timeout(900)
TOOL = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"


@pytest.fixture(scope="module")
def site(expendable: System) -> Iterator[Site]:
    found = Site(expendable)
    yield found
    found.close()


def absurd(case: Case) -> None:
    """Contracts that end with the year 9999 and begin with the year 1, and a position beyond arithmetic. None may hold up any repair."""
    for prosthesis in case.prostheses:
        case.insert(prosthesis, recorded_at=case.at(1), kind="location", latitude=1e308, longitude=2.0)
    ends = "UPDATE crm.contracts SET ends_at = '9999-12-31 23:59:59.999999Z' WHERE contract_id = %s"
    case.crm.execute(ends, (case.prostheses[0],))
    case.crm.execute("UPDATE crm.contracts SET starts_at = '0001-01-01 00:00Z' WHERE contract_id = %s", (case.prostheses[1],))


@pytest.fixture(scope="module")
def case(site: Site) -> Iterator[Case]:
    """Three prostheses with owners and an event a day, all of it equal, as each test leaves it. Among them stands what no report can hold."""
    with equal_case(site.system, number=14, prostheses=3, base=940_000, prepare=absurd) as found:
        yield found


def by_hand(site: Site, table: str, replace: str, prosthesis: int, where: str) -> None:
    """Write rows of *table* again with something replaced, as somebody with every right might."""
    statement = (
        f"INSERT INTO {table} SELECT * REPLACE ({replace}) FROM (SELECT * FROM {table} FINAL WHERE prosthesis_id = %(p)s AND {where})"
    )
    site.migrator(lambda client: client.execute(statement, {"p": str(prosthesis)}))


def test_a_report_that_somebody_made_is_named_surplus_and_taken_back_by_a_repair(site: Site, case: Case) -> None:
    prosthesis = case.prostheses[0]
    by_hand(
        site,
        "user_daily_reports",
        f"toDate32('{case.first}') AS report_date",
        prosthesis,
        f"report_date = '{case.first + timedelta(days=2)}'",
    )
    found = case.verify()
    assert [(key.report_date, key.prosthesis_id) for key in found.found.surplus] == [(case.first, str(prosthesis))]
    assert site.repaired(case)["verification"]["ok"]
    assert case.first not in {row["report_date"] for row in case.reports()}


def test_raw_that_somebody_altered_is_different_by_id_and_made_equal(site: Site, case: Case) -> None:
    prosthesis = case.prostheses[0]
    by_hand(site, "telemetry_events", "toUInt32(7) AS active_ms", prosthesis, f"toDate(recorded_at) = '{case.first + timedelta(days=2)}'")
    planned = site.operator.json("repair", "--dry-run", "--from", str(case.first), "--to", str(case.last), code=1)
    assert planned["raw"] == {"missing": 0, "different": 1, "surplus": 0}
    after = site.repaired(case)
    assert after["raw"] == {"missing": 0, "different": 0, "surplus": 0}
    assert after["verification"]["ok"]
    assert site.operator("replay", "--prosthesis", str(prosthesis)).exit_code == 0
    assert case.verify().ok, "folded again from raw, it is what PostgreSQL says"


def test_a_state_that_somebody_altered_is_named_before_any_event_shows_it_and_mended(site: Site, case: Case) -> None:
    prosthesis, day = case.prostheses[0], case.first + timedelta(days=2)
    other = f"(SELECT any(fold) FROM report_state FINAL WHERE prosthesis_id = '{prosthesis}' AND report_date = '{day + timedelta(days=1)}') AS fold"
    by_hand(site, "report_state", other, prosthesis, f"report_date = '{day}'")
    found = case.verify()
    assert [(key.prosthesis_id, key.report_date) for key in found.states] == [(str(prosthesis), day)]
    assert (found.ok, found.found.unequal_keys) == (False, frozenset())
    assert site.repaired(case)["verification"]["ok"]
    assert case.verify().states == frozenset()


def test_a_state_that_somebody_altered_shows_with_the_next_event_and_is_mended(site: Site, case: Case) -> None:
    first, second, _ = case.prostheses
    day = case.first + timedelta(days=2)
    case.insert(second, recorded_at=case.at(2, 13))
    assert case.verify().ok
    other = f"(SELECT any(fold) FROM report_state FINAL WHERE prosthesis_id = '{second}' AND report_date = '{day}') AS fold"
    by_hand(site, "report_state", other, first, f"report_date = '{day}'")
    site.stop_processor()  # what it remembers is right
    site.start_processor()
    case.insert(first, recorded_at=case.at(2, 14))
    assert {key.prosthesis_id for key in case.verify().found.unequal_keys} == {str(first)}
    assert site.repaired(case)["verification"]["ok"]
    case.insert(first, recorded_at=case.at(2, 15))
    assert case.verify().ok


def test_a_repair_while_telemetry_streams_goes_on_where_it_was_interrupted(site: Site, case: Case) -> None:
    days = ("--from", str(case.first), "--to", str(case.last))
    operator = site.operator.with_variables(**FEW_ROUNDS)
    with mock.patch.multiple(Load, PAUSE_S=0.5, BATCH=50), case.loaded() as load:
        load.wait_for(500)
        assert case.verify().found.unequal_keys == frozenset()
        gone = "ALTER TABLE telemetry_events DELETE WHERE prosthesis_id = %(p)s SETTINGS mutations_sync = 1"
        site.migrator(lambda client: client.execute(gone, {"p": str(case.prostheses[0])}))
        lost = interrupted_repair(site, *days)
        planned = operator.json("repair", "--dry-run", *days, code=1)
        assert 0 < planned["raw"]["missing"] <= lost - PORTION, "what was mended stays mended"
        load.wait_for(60)
        assert operator("repair", "--yes", *days).exit_code in {0, 1}, "reports that move meanwhile are not verified"
    assert case.verify().ok
    assert site.operator.json("repair", "--dry-run", *days)["raw"] == {"missing": 0, "different": 0, "surplus": 0}


PORTION = 40
FEW_ROUNDS = {"BIONICPRO_RECONCILIATION__ROUNDS": "3"}  # reports that move are looked at until the last round, and these move all the while
# What runs in the background of a shell, as a test run may, ignores Ctrl-C, and its children do.
INTERRUPTIBLE = (
    "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler); runpy.run_module('cli', run_name='__main__')"
)


def interrupted_repair(site: Site, *days: str) -> int:
    """The command in a process of its own, which Ctrl-C ends once the first portion has arrived; how many rows it was to ask for."""
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTIBLE, "repair", "--yes", *days],
        cwd=REPOSITORY,
        env={**os.environ, **site.operator.variables, "BIONICPRO_RECONCILIATION__REPAIR_PORTION": str(PORTION), **FEW_ROUNDS},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    assert process.stderr is not None
    with process.stderr:
        asked = (re.match(rf"{2 * PORTION} of (\d+) rows asked for again", line) for line in process.stderr)
        lost = next(int(found[1]) for found in asked if found)
        process.send_signal(signal.SIGINT)
        said = process.stderr.read().splitlines()
    assert process.wait(timeout=PATIENCE_S) == 130
    assert said[-1] == f"interrupted: what was mended so far stays mended; go on with `bionicpro repair {' '.join(days)}`"
    return lost


def kafka_tool(site: Site, *arguments: str) -> str:
    """Kafka's own command, as an administrator calls it."""
    command = [
        *java(site.system.instance),
        "-Xmx128m",
        "-cp",
        class_path(),
        TOOL,
        "--bootstrap-server",
        site.system.kafka.bootstrap_servers,
    ]
    account = site.system.kafka.accounts["kafka"]
    login = f'org.apache.kafka.common.security.plain.PlainLoginModule required username="{account.user}" password="{account.password}";'
    properties = site.system.instance.config("administrator.properties")
    write_private(properties, f"security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\nsasl.jaas.config={login}\n")
    # Without it the tool gives the broker five seconds; and what it gives up it tells, with exit code 0.
    command += ["--command-config", str(properties), "--timeout", "100000"]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Error:" not in done.stdout, done.stdout
    return done.stdout


def earliest(site: Site, folder: Path) -> tuple[str, ...]:
    """The earliest that the present tables may be set back to: the log's beginning, or where a rebuild has begun them."""
    found: list[Generation] = []
    site.migrator(lambda client: found.extend(read_generations(client, "bionicpro")))
    offsets = begins(found, site.serving())
    if not offsets:
        return "--topic", LOG_TOPIC, "--to-earliest"
    file = folder / "offsets.csv"
    file.write_text("".join(f"{LOG_TOPIC},{partition},{offset}\n" for partition, offset in offsets.items()))
    return "--from-file", str(file)


def reset(site: Site, *how: str) -> None:
    """Stop the processor, set its group's offsets of the log with Kafka's tool, start it, wait until it is where it was."""
    group = group_of(GROUP, site.serving())
    broker = Broker(site.system.kafka.settings())
    partitions = broker.topics([LOG_TOPIC])[LOG_TOPIC].ends
    site.stop_processor()
    until(lambda: broker.group(group).members == (), "the group is empty")
    reached = broker.committed(group, LOG_TOPIC, partitions)
    kafka_tool(site, "--group", group, "--reset-offsets", *how, "--execute")
    assert sum(broker.committed(group, LOG_TOPIC, partitions).values()) < sum(reached.values())
    site.start_processor()
    until(
        lambda: all(broker.committed(group, LOG_TOPIC, partitions).get(p, 0) >= offset for p, offset in reached.items()),
        "all is handled again",
    )


@pytest.mark.parametrize("to_earliest", [False, True], ids=["seven", "earliest"])
def test_offsets_set_back_with_kafkas_own_tool_change_nothing(site: Site, case: Case, to_earliest: bool, tmp_path: Path) -> None:
    before = case.reports()
    reset(site, *(earliest(site, tmp_path) if to_earliest else ("--topic", LOG_TOPIC, "--shift-by", "-7")))
    assert case.reports() == before
    assert case.verify().ok


def test_a_mart_that_was_truncated_is_full_again_after_a_reset_to_the_earliest(site: Site, case: Case, tmp_path: Path) -> None:
    before = case.reports()
    site.migrator(lambda client: client.execute("TRUNCATE TABLE user_daily_reports"))
    assert case.reports() == []
    reset(site, *earliest(site, tmp_path))
    assert case.reports() == before
    assert case.verify().ok


def test_a_replay_from_a_moment_refills_what_was_lost_since(site: Site, case: Case) -> None:
    before = case.reports()
    site.migrator(lambda client: client.execute("TRUNCATE TABLE user_daily_reports"))
    site.stop_processor()
    group, broker = group_of(GROUP, site.serving()), Broker(site.system.kafka.settings())
    until(lambda: broker.group(group).members == (), "the group is empty")
    assert site.operator.json("replay", "--from", "2026-01-01T00:00:00Z", "--yes")["records"] > 0
    site.start_processor()
    until(lambda: case.reports() == before, "the reports are there again")
    assert case.verify().ok


def test_one_prosthesis_is_folded_again_by_a_replay_of_its_own(site: Site, case: Case) -> None:
    prosthesis = str(case.prostheses[0])
    before = case.reports()
    site.migrator(
        lambda client: client.execute(
            "ALTER TABLE user_daily_reports DELETE WHERE prosthesis_id = %(p)s SETTINGS mutations_sync = 1", {"p": prosthesis}
        )
    )
    assert len(case.reports()) < len(before)
    assert site.operator("replay", "--prosthesis", prosthesis).exit_code == 0
    until(lambda: case.reports() == before, "the reports are there again")


def test_a_mart_without_anything_is_filled_from_the_sources_alone_and_the_stream_goes_on_without_a_seam(site: Site, case: Case) -> None:
    """Nothing of the case was ever streamed, as far as the tables know: no telemetry, no owner, no state, no report."""
    before = [without_version(row) for row in case.reports()]
    site.stop_processor()
    for table in ("telemetry_events", "report_state", "ownership", "user_daily_reports"):
        gone = f"ALTER TABLE {table} DELETE WHERE prosthesis_id IN %(p)s SETTINGS mutations_sync = 1"
        site.migrator(methodcaller("execute", gone, {"p": tuple(map(str, case.prostheses))}))
    site.start_processor()
    days = ("--from", str(case.first), "--to", str(case.last))
    whole = site.operator.with_variables(BIONICPRO_RECONCILIATION__GAP_ROWS="1")  # whole days of prostheses, not ids
    planned = whole.json("repair", "--dry-run", *days, code=1)
    assert planned["raw"]["missing"] == planned["gaps"]["events"] > 0
    assert whole.json("repair", "--yes", *days)["verification"]["ok"]
    assert [without_version(row) for row in case.reports()] == before
    for prosthesis in case.prostheses:
        case.insert(prosthesis, recorded_at=case.at(2, 6))
    assert case.verify().ok


def without_version(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in {"version", "log_partition"}}


def test_what_no_repair_can_outrank_is_told_and_a_rebuild_leaves_it_behind(site: Site, case: Case) -> None:
    prosthesis, day = case.prostheses[0], case.first + timedelta(days=2)
    by_hand(site, "user_daily_reports", "usage_ms + 1 AS usage_ms, version + 1000000000 AS version", prosthesis, f"report_date = '{day}'")
    left = site.operator.json("repair", "--yes", "--from", str(case.first), "--to", str(case.last), code=1)
    assert left["verification"]["differences"]["usage_ms"]["rows"] == 1
    assert site.operator.json(*site.rebuild)["handed_over"]
    assert case.verify().ok


def test_a_truncate_at_the_source_takes_every_report_back_and_what_comes_later_counts(site: Site, case: Case) -> None:
    assert case.reports()
    superuser: dict[str, Any] = dict(site.system.postgres.conninfo("telemetry", "postgres"))
    with psycopg.connect(**superuser, autocommit=True) as connection:
        connection.execute("TRUNCATE telemetry.telemetry_events")
    kept = case.prostheses[0]
    case.insert(kept, recorded_at=case.at(2, 5))
    found = case.verify()
    assert found.ok
    assert [(row["prosthesis_id"], row["event_count"]) for row in case.reports()] == [(str(kept), 1)]


@pytest.fixture
def kept(site: Site) -> Iterator[None]:
    """Raw telemetry is kept for 30 days, and PostgreSQL's for 30; for ever again afterwards."""
    migrator = site.operator.with_variables(**site.system.variables("migrator"))
    assert migrator("schema", "retention", "--raw-days", "30", "--source-days", "30", "--yes").exit_code == 0
    yield
    assert migrator("schema", "retention", "--raw-days", "0", "--source-days", "0", "--yes").exit_code == 0


def expire(client: Client) -> None:
    client.execute("OPTIMIZE TABLE telemetry_events FINAL")


def test_closed_days_stay_when_raw_expires_the_source_is_purged_and_all_is_rebuilt(site: Site, kept: None) -> None:
    site.wait_until_well()
    today = datetime.now(UTC).date()
    case = Case(site.system, number=0, prostheses=2, base=945_000, first=today - timedelta(days=6))
    try:
        first, second = case.prostheses
        for prosthesis in case.prostheses:
            case.own(prosthesis)
        young = [case.insert(prosthesis, recorded_at=case.at(2)) for prosthesis in case.prostheses]
        assert case.verify().ok
        closed = report(site, first, today - timedelta(days=60))
        raw = site.migrator(lambda client: client.execute("INSERT INTO telemetry_events SELECT * REPLACE (recorded_at - toIntervalDay(58) AS recorded_at,"
            " event_id_lo + 1000000000 AS event_id_lo) FROM (SELECT * FROM telemetry_events FINAL WHERE prosthesis_id = %(p)s)", {"p": str(first)}))  # fmt: skip
        assert raw is not None
        site.migrator(expire)
        old_rows = "SELECT count() FROM telemetry_events FINAL WHERE prosthesis_id = %(p)s"
        assert site.migrator(lambda client: client.execute(old_rows, {"p": str(first)})) == [(1,)]
        assert site.operator("replay", "--prosthesis", str(first)).exit_code == 0
        case.insert(first, recorded_at=datetime.now(UTC) - timedelta(days=60))
        case.telemetry.execute("DELETE FROM telemetry.telemetry_events WHERE event_id = %s", (young[1],))
        found = case.verify()
        assert found.ok, found.as_json()
        assert site.operator.json("dlq", "list")["reasons"].get("expired-day", 0) >= 1
        assert reports_of(site, first) == {today - timedelta(days=4): 1, today - timedelta(days=60): closed}
        assert reports_of(site, second) == {}
        told = site.operator.json("verify", "--from", str(today - timedelta(days=90)))
        assert told["beyond_retention"]["rows"] >= 1
        for source in ("tables", "postgres"):
            assert site.operator.json(*site.rebuild, "--source", source)["handed_over"]
            assert reports_of(site, first) == {today - timedelta(days=4): 1, today - timedelta(days=60): closed}
        assert case.verify().ok
    finally:
        case.close()


def report(site: Site, prosthesis: int, day: date) -> int:
    """A report of a day long ago, with its state, as it was left when the day was closed; its number of events."""
    for table in ("user_daily_reports", "report_state"):
        by_hand(site, table, f"toDate32('{day}') AS report_date", prosthesis, "1 = 1")
    return reports_of(site, prosthesis)[day]


def reports_of(site: Site, prosthesis: int) -> dict[date, int]:
    query = "SELECT report_date, event_count FROM user_daily_reports WHERE prosthesis_id = %(p)s"
    return dict(site.auditor.execute(query, {"p": str(prosthesis)}))

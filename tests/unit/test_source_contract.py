"""What a source must be like, and what is said of one that is not. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from connectors.apply import ConnectorStatus, read_connectors
from connectors.checks import Check, next_check
from connectors.contract import (
    SOURCES,
    Finding,
    Identity,
    Observed,
    ObservedColumn,
    ObservedTable,
    SourceContract,
    contract_of,
    findings,
)
from connectors.healing import ATTEMPTS, MAX_PAUSE_S, WELL_AFTER_S, Healing, pause_s
from connectors.slots import SlotState
from schemas.mapping import SourceMapping
from schemas.source_types import USABLE

CONNECTORS = {connector.name: connector for connector in read_connectors()}
CONTRACTS = {source: contract_of(source, CONNECTORS[source], SourceMapping.read()) for source in SOURCES}
EVENTS = "telemetry.telemetry_events"
SERVER = Identity("7", 1, 1000)


def as_it_should_be(contract: SourceContract) -> Observed:
    tables = {}
    for table in contract.tables:
        columns = {name: ObservedColumn(sorted(USABLE[carries])[0]) for name, carries in table.columns.items()} | {
            "more": ObservedColumn("json")
        }
        tables[table.name] = ObservedTable(columns=columns, published_columns=frozenset(columns))
    return Observed(SERVER, False, (), SlotState(True, False), tables, contract.heartbeat_rows)


def with_table(name: str = EVENTS, **changes: Any) -> Observed:
    good = as_it_should_be(CONTRACTS["telemetry"])
    return replace(good, tables={**good.tables, name: replace(good.tables[name], **changes)})


def with_column(name: str, column: ObservedColumn | None) -> Observed:
    columns = {**as_it_should_be(CONTRACTS["telemetry"]).tables[EVENTS].columns}
    columns.pop(name)
    if column is not None:
        columns[name] = column
    return with_table(columns=columns, published_columns=frozenset(columns))


@pytest.mark.parametrize("source", SOURCES)
def test_a_source_as_it_should_be_has_no_findings(source: Any) -> None:
    assert findings(CONTRACTS[source], as_it_should_be(CONTRACTS[source]), SERVER) == []


GOOD = as_it_should_be(CONTRACTS["telemetry"])


@pytest.mark.parametrize(
    ("observed", "what", "do", "stops"),
    [
        (replace(GOOD, tables={name: table for name, table in GOOD.tables.items() if name != EVENTS}), "does not exist", "repair", True),
        (with_table(kind="p"), "is a partitioned table", "ordinary table again", True),
        (with_table(permanent=False), "unlogged", "SET LOGGED", True),
        (with_table(has_children=True), "inherit", "repair", True),
        (with_table(published_columns=None), "not in publication bionicpro_telemetry", "ADD TABLE telemetry.telemetry_events", True),
        (with_table(row_filter="(kind = 'x')"), "filters the rows", "DROP TABLE telemetry.telemetry_events", True),
        (with_table(published_columns=frozenset({"event_id"})), "leaves out columns of telemetry.telemetry_events: active_ms", "DROP TABLE", True),
        (with_table(identity="d"), "REPLICA IDENTITY FULL", "REPLICA IDENTITY FULL", True),
        (with_table(truncate_trigger=False), "BEFORE TRUNCATE", "enable it", False),
        (with_table(readable=False), "may not be read", "GRANT SELECT", False),
        (with_table(row_security=True), "row level security", "DISABLE ROW LEVEL SECURITY", False),
        (with_column("kind", None), "telemetry.telemetry_events.kind does not exist", "rename it back", True),
        (with_column("kind", ObservedColumn("text", generated=True)), "generated", "trigger", True),
        (with_column("recorded_at", ObservedColumn("json")), "has the type json", "timestamptz", True),
        (with_table("telemetry.pipeline_heartbeats", published_columns=None), "pipeline_heartbeats is not in publication", "ADD TABLE", True),
        (with_table("telemetry.debezium_signals", published_columns=None), "debezium_signals is not in publication", "ADD TABLE", False),
        (replace(GOOD, heartbeat_rows=3), "has 3 rows, 24 are needed", "migrations", True),
        (replace(GOOD, unpublished=None), "publication bionicpro_telemetry does not exist", "resnapshot telemetry", True),
        (replace(GOOD, unpublished=("deletes",)), "leaves out deletes", "publish = 'insert, update, delete'", True),
        (replace(GOOD, slot=None), "slot bionicpro_telemetry does not exist", "resnapshot telemetry", True),
        (replace(GOOD, slot=SlotState(False, True)), "is lost", "resnapshot telemetry", True),
        (replace(GOOD, standby=True), "standby", "primary", True),
        (replace(GOOD, identity=Identity("8", 1, 2000)), "another server answers", "rebuild --source postgres", True),
        (replace(GOOD, identity=Identity("7", 2, 2000)), "restored or promoted", "rebuild --source postgres", True),
        (replace(GOOD, identity=Identity("7", 1, 999)), "went back", "rebuild --source postgres", True),
    ],
)  # fmt: skip
def test_each_drift_is_named_with_what_to_do(observed: Observed, what: str, do: str, stops: bool) -> None:
    found = [finding for finding in findings(CONTRACTS["telemetry"], observed, SERVER) if what in finding.what]
    assert len(found) == 1, findings(CONTRACTS["telemetry"], observed, SERVER)
    assert do in found[0].do
    assert found[0].stops == stops
    assert all("\n" not in text for text in (found[0].what, found[0].means, found[0].do))


STOP, NOTE = Finding("a", "b", "c"), Finding("a", "b", "c", stops=False)
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


def check(at: int, found: list[Finding], before: Check | None, lsn: int | None = 1000) -> Check:
    identity = None if lsn is None else Identity("7", 1, lsn)
    return next_check("crm", 1, now=NOON + timedelta(seconds=at), found=found, identity=identity, before=before)


def test_reports_are_whole_up_to_the_last_look_before_the_drift() -> None:
    good = check(0, [], None)
    drifted = check(20, [STOP], check(10, [STOP], good))
    assert (drifted.whole_at, drifted.arrives) == (NOON, False)
    assert check(30, [], drifted).whole_at == NOON + timedelta(seconds=30)
    assert check(10, [NOTE], good).arrives


def test_a_server_that_went_back_does_not_become_the_known_one() -> None:
    known = check(0, [], None, lsn=1000)
    assert check(10, [STOP], known, lsn=500).identity == known.identity
    assert check(10, [], known, lsn=1500).identity == Identity("7", 1, 1500)
    assert check(10, [NOTE], known, lsn=None).identity == known.identity


FAILED = ConnectorStatus("crm", "RUNNING", ("FAILED",))
RUNNING = ConnectorStatus("crm", "RUNNING", ("RUNNING",))


def test_a_failed_connector_is_started_again_with_a_growing_pause_and_an_end() -> None:
    healing, now, restarts = Healing(), 0.0, []
    while healing.step(FAILED, now) != "given up":
        if healing.attempts("crm") > len(restarts):
            restarts.append(now)
        now += 1.0
    pauses = [later - earlier for earlier, later in pairwise(restarts)]
    assert len(restarts) == ATTEMPTS
    assert pauses == sorted(pauses)
    assert pauses[-1] == MAX_PAUSE_S == pause_s(ATTEMPTS)


def test_a_connector_that_was_well_for_long_begins_anew_and_one_that_was_not_does_not() -> None:
    healing = Healing()
    assert healing.step(FAILED, 0.0) == "restart"
    healing.step(RUNNING, 1.0)
    healing.step(FAILED, 2.0)
    assert healing.step(FAILED, 2.0) == "wait"
    healing.step(RUNNING, 3.0)
    healing.step(RUNNING, 3.0 + WELL_AFTER_S)
    assert healing.step(FAILED, 4.0 + WELL_AFTER_S) == "restart"
    assert healing.attempts("crm") == 1


@pytest.mark.parametrize("state", ["STOPPED", "PAUSED", "UNASSIGNED"])
def test_what_somebody_stopped_is_left_alone(state: str) -> None:
    assert Healing().step(ConnectorStatus("crm", state, ()), 0.0) == "none"

"""``bionicpro verify`` and ``repair`` against the whole pipe: real connectors, the real processor, a mart changed by hand."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from unittest import mock
from uuid import UUID

import psycopg
import pytest
import typer
from clickhouse_driver import Client
from typer.testing import CliRunner, Result

from cli.states import unlike
from reconciliation import cli
from reconciliation.fields import FIELDS
from reconciliation.mart import UUID_TEXT
from reconciliation.settings import ReconciliationSettings
from reconciliation.verification import Verification
from reconciliation.verify import verify
from tests.support.endpoints import ClickHouseEndpoint
from tests.support.system import System
from tests.support.waiting import PATIENCE_S

# Years that no other test uses, so that its rows are not compared here.
BASE = 970_000
GENERATION = "bionicpro_g1"
_COUNTER = iter(range(1, 100))


class Case:
    """One customer with one prosthesis, and a range of days of its own."""

    def __init__(self, system: System, number: int) -> None:
        self.system = system
        self.id = BASE + number
        self.user_id = str(UUID(int=self.id))
        self.first = date(2003, 1, 1) + timedelta(days=60 * number)
        self.last = self.first + timedelta(days=45)
        self.environment = system.variables("operator")
        self._crm = psycopg.connect(**system.postgres.conninfo("crm", "crm_app"), autocommit=True)
        self.telemetry = psycopg.connect(**system.postgres.conninfo("telemetry", "telemetry_ingest"), autocommit=True)
        self.writer = Client(**system.clickhouse.client("writer"), database=GENERATION)

    def close(self) -> None:
        self._crm.close()
        self.telemetry.close()
        self.writer.disconnect()

    def make_owner(self) -> None:
        self._crm.execute(
            "INSERT INTO crm.customers (customer_id, user_id, full_name, email, timezone) VALUES (%s, %s, 'Case', 'c@example.org', 'Europe/Berlin')",
            (self.id, self.user_id),
        )
        self._crm.execute(
            "INSERT INTO crm.prostheses (prosthesis_id, model, serial_number) VALUES (%s, 'M', %s)", (self.id, f"V-{self.id}")
        )
        self._crm.execute(
            "INSERT INTO crm.contracts (contract_id, number, customer_id, prosthesis_id, starts_at) VALUES (%s, 'K', %s, %s, '2002-01-01')",
            (self.id, self.id, self.id),
        )

    def at(self, day: int, hour: int = 10) -> datetime:
        return datetime(self.first.year, self.first.month, self.first.day, hour, tzinfo=UTC) + timedelta(days=day)

    def signal(self, at: datetime) -> int:
        """Insert one event; returns its id."""
        row = self.telemetry.execute(
            "INSERT INTO telemetry.telemetry_events (prosthesis_id, recorded_at, kind, amplitude_uv, movement_recognised, active_ms)"
            " VALUES (%s, %s, 'signal', 100, true, 1000) RETURNING event_id",
            (self.id, at),
        ).fetchone()
        assert row is not None
        return int(row[0])

    def every_kind(self, day: int) -> None:
        """One event of each kind, so that every field of the day's report has a value."""
        self.signal(self.at(day))
        self.telemetry.execute(
            "INSERT INTO telemetry.telemetry_events (prosthesis_id, recorded_at, kind, battery_percent, error_code, error_severity, latitude, longitude)"
            " VALUES (%(id)s, %(at)s, 'battery', 50, null, null, null, null), (%(id)s, %(at)s, 'error', null, 'E1', 'critical', null, null),"
            " (%(id)s, %(at)s, 'location', null, null, null, 55.75, 37.61)",
            {"id": self.id, "at": self.at(day, 11)},
        )

    def settings(self, **limits: Any) -> ReconciliationSettings:
        with mock.patch.dict(os.environ, self.environment):
            settings = ReconciliationSettings()  # type: ignore[call-arg]  # from the environment
        return settings.model_copy(update={"reconciliation": settings.reconciliation.model_copy(update=limits)})

    def verify(self, **limits: Any) -> Verification:
        return verify(self.settings(**limits), self.first, self.last)

    def command(self, name: str, *options: str) -> Result:
        """Run the command as a shell would, with the operator's variables, for this case's days."""
        app = typer.Typer()
        for command in cli.commands(states=unlike):
            app.command()(command)
        return CliRunner().invoke(
            app, [name, "--from", str(self.first), "--to", str(self.last), "--json", *options], env=dict(self.environment)
        )

    def change_mart(self, day: int, replace: str) -> None:
        """Write a report again under its own version with a field replaced: what ClickHouse keeps is the later of the two."""
        self.writer.execute(
            f"INSERT INTO user_daily_reports SELECT * REPLACE ({replace}) FROM"
            " (SELECT * FROM user_daily_reports FINAL WHERE prosthesis_id = %(prosthesis)s AND report_date = %(day)s)",
            {"prosthesis": str(self.id), "day": self.first + timedelta(days=day)},
        )


@pytest.fixture(scope="session")
def processed(pipe: System) -> System:
    pipe.start_services("processor")
    return pipe


@pytest.fixture
def case(processed: System) -> Iterator[Case]:
    found = Case(processed, next(_COUNTER))
    try:
        found.make_owner()
        yield found
    finally:
        found.close()


def replacement(field: str) -> str:
    """SQL that makes *field* of a report something else."""
    texts = ("customer", "timezone", "contract", "prosthesis")
    if field.startswith(texts):
        return f"concat({field}, 'x') AS {field}"
    special = {
        "usage_ms_by_hour": "arrayMap(x -> x + 1, usage_ms_by_hour) AS usage_ms_by_hour",
        "battery_first_bp_by_hour": "arrayPopBack(battery_first_bp_by_hour) AS battery_first_bp_by_hour",
        "battery_last_bp_by_hour": "arrayMap(x -> x + 1, battery_last_bp_by_hour) AS battery_last_bp_by_hour",
        "amplitude_histogram": "arrayPopBack(amplitude_histogram) AS amplitude_histogram",
        "errors_by_code": "map('E1', 2::UInt32) AS errors_by_code",
        "first_event_at": "first_event_at + toIntervalMicrosecond(1) AS first_event_at",
        "last_event_at": "last_event_at + toIntervalMicrosecond(1) AS last_event_at",
        "location_lat_cell": "NULL AS location_lat_cell",
    }
    return special.get(field, f"{field} + 1 AS {field}")


def test_what_the_processor_wrote_is_equal_and_the_command_exits_0(case: Case) -> None:
    for day in range(3):
        case.every_kind(day)
    result = case.command("verify")
    body = json.loads(result.stdout)
    assert (result.exit_code, body["ok"], body["rows_compared"], body["fields_compared"]) == (0, True, 3, 3 * len(FIELDS))


def test_a_change_of_any_field_by_hand_is_found_and_named(case: Case) -> None:
    for day in range(len(FIELDS)):
        case.every_kind(day)
    assert case.verify().ok
    for day, field in enumerate(FIELDS):
        case.change_mart(day, replacement(field))
    result = case.command("verify")
    differences = json.loads(result.stdout)["differences"]
    assert result.exit_code == 1
    assert {field: found["rows"] for field, found in differences.items()} == dict.fromkeys(FIELDS, 1)
    days = {field: found["examples"][0]["report_date"] for field, found in differences.items()}
    assert days == {field: str(case.first + timedelta(days=day)) for day, field in enumerate(FIELDS)}


def test_a_missing_and_a_surplus_row_are_found(case: Case) -> None:
    for day in range(3):
        case.every_kind(day)
    assert case.verify().ok
    case.change_mart(0, "1 AS is_deleted")
    case.change_mart(1, "report_date + 20 AS report_date")
    # In one window, and looked at again in two that are far apart.
    for window_days in (92, 2):
        found = case.verify(window_days=window_days).found
        assert [key.report_date for key in found.missing] == [case.first]
        assert [key.report_date for key in found.surplus] == [case.first + timedelta(days=21)]


def test_both_databases_write_an_event_id_alike_before_they_hash_it(clickhouse: ClickHouseEndpoint) -> None:
    client = Client(**clickhouse.client("auditor"))
    for number in (0, 1, 0x0123456789ABCDEF, UUID("00000000-0000-4000-8000-00000000000a").int, (1 << 128) - 1):
        halves = f"(SELECT toUInt64({number >> 64}) AS event_id_hi, toUInt64({number & ((1 << 64) - 1)}) AS event_id_lo)"
        assert client.execute(f"SELECT {UUID_TEXT} FROM {halves}") == [(UUID(int=number).hex,)]
    client.disconnect()


def test_comparing_nothing_is_a_failure(case: Case) -> None:
    result = case.command("verify")
    body = json.loads(result.stdout)
    assert (result.exit_code, body["rows_compared"], body["differences"]) == (1, 0, {})


def test_telemetry_that_nobody_owns_is_counted_and_no_difference(case: Case) -> None:
    case.every_kind(0)
    case.telemetry.execute(
        "INSERT INTO telemetry.telemetry_events (prosthesis_id, recorded_at, kind, battery_percent) VALUES (%s, %s, 'battery', 5)",
        (case.id + 10_000, case.at(1)),
    )
    result = case.verify()
    assert (result.ok, result.waiting_for_owner, result.found.rows) == (True, 1, 1)


def test_rows_that_change_while_they_are_compared_are_not_called_different(case: Case) -> None:
    case.every_kind(0)
    stop = threading.Event()

    def keep_writing() -> None:
        with psycopg.connect(**case.system.postgres.conninfo("telemetry", "telemetry_ingest"), autocommit=True) as connection:
            at = case.at(0)
            while not stop.wait(0.05):
                at += timedelta(seconds=1)
                connection.execute(
                    "INSERT INTO telemetry.telemetry_events (prosthesis_id, recorded_at, kind, battery_percent) VALUES (%s, %s, 'battery', 50)",
                    (case.id, at),
                )

    writer = threading.Thread(target=keep_writing)
    writer.start()
    try:
        for _ in range(3):
            assert case.verify(rounds=3, backoff_s=0.0).found.unequal_keys == frozenset()
    finally:
        stop.set()
        writer.join(timeout=PATIENCE_S)
    assert case.verify().ok


def test_a_row_whose_version_is_beyond_the_log_is_different_and_not_in_motion(case: Case) -> None:
    case.every_kind(0)
    assert case.verify().ok
    case.change_mart(0, "usage_ms + 1 AS usage_ms, version + 1000000000 AS version")
    result = case.verify()
    assert (result.ok, result.found.by_field(), result.unverified_keys) == (False, {"usage_ms": 1}, frozenset())


def test_a_server_that_does_not_answer_is_one_line_and_exit_69(case: Case) -> None:
    case.environment = case.environment | {"BIONICPRO_TELEMETRY_DB__PORT": "1"}
    result = case.command("verify")
    assert result.exit_code == 69
    assert len(result.stderr.strip().splitlines()) <= 3
    assert "Traceback" not in result.stderr


def test_repair_brings_missing_raw_rows_back_removes_surplus_and_recomputes(case: Case) -> None:
    lost = [case.signal(case.at(day)) for day in range(3)]
    kept = case.signal(case.at(0, 12))
    assert case.verify().ok
    # As if ClickHouse had lost rows, invented one, and folded what it had.
    migrator = Client(**case.system.clickhouse.client("migrator"), database=GENERATION)
    migrator.execute("ALTER TABLE telemetry_events DELETE WHERE prosthesis_id = %(p)s AND event_id_lo IN %(ids)s SETTINGS mutations_sync = 1",
                     {"p": str(case.id), "ids": tuple(lost)})  # fmt: skip
    migrator.disconnect()
    case.writer.execute(
        "INSERT INTO telemetry_events SELECT * REPLACE (event_id_lo + 1000000000 AS event_id_lo) FROM"
        " (SELECT * FROM telemetry_events FINAL WHERE prosthesis_id = %(p)s AND event_id_lo = %(id)s)",
        {"p": str(case.id), "id": kept},
    )
    case.change_mart(1, "usage_ms + 1 AS usage_ms")
    planned = json.loads(case.command("repair", "--dry-run").stdout)
    assert planned["raw"] == {"missing": 3, "different": 0, "surplus": 1}
    assert planned["recompute"] == 1
    result = case.command("repair", "--yes")
    left = json.loads(result.stdout)
    assert (result.exit_code, left["raw"], left["recompute"]) == (0, {"missing": 0, "different": 0, "surplus": 0}, 0)
    assert left["verification"]["rows_compared"] == 3


def test_repair_has_nothing_to_do_where_all_is_equal(case: Case) -> None:
    case.every_kind(0)
    result = case.command("repair", "--yes")
    assert (result.exit_code, json.loads(result.stdout)["recompute"]) == (0, 0)

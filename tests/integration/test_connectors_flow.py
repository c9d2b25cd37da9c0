"""Records for a topic that nobody made, and rows that are too large: neither stops a connector, and what does stop one is told in full."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Any

import httpx
import psycopg
import pytest
from pydantic import SecretStr

from cli.status.judge import problems
from cli.status.readings import Connect as ConnectReading
from cli.status.settings import StatusSection
from connectors.apply import Connect, ConnectError, Connector, wanted_connectors
from connectors.flow import await_flow
from schemas.keys import DEAD_LETTER_TOPIC, LOG_TOPIC
from service_kit.settings import KafkaSettings, PostgresSettings
from tests.support.captured import Tail
from tests.support.operator import Operator
from tests.support.system import System
from tests.support.waiting import PATIENCE_S

PROSTHESIS = 820_000_001
LARGE = "x" * 1_200_000
MESSAGE = "SELECT pg_logical_emit_message(%s, 'app', 'hello')"
EVENT = "INSERT INTO telemetry.telemetry_events (prosthesis_id, recorded_at, kind, error_code) VALUES (%s, '2026-11-23', 'error', %s) RETURNING event_id"


def connection(pipe: System, database: str, user: str) -> psycopg.Connection[Any]:
    return psycopg.connect(**dict[str, Any](pipe.postgres.conninfo(database, user)), autocommit=True)


def kafka(pipe: System) -> KafkaSettings:
    return pipe.kafka.settings()


def auditor(pipe: System, database: str) -> PostgresSettings:
    server = pipe.postgres
    return PostgresSettings(
        host=server.host, port=server.port, database=database, user="auditor", password=SecretStr(server.accounts["auditor"].password)
    )


@pytest.mark.parametrize(("name", "account"), [("crm", "crm_app"), ("telemetry", "telemetry_ingest")])
def test_messages_that_any_role_may_write_into_the_wal_are_left_out(pipe: System, name: str, account: str) -> None:
    with connection(pipe, name, account) as source:
        for transactional in (True, False):
            source.execute(MESSAGE, (transactional,))
    done = Operator(pipe.variables("operator"))("connectors", "restart", name)
    assert done.exit_code == 0, done.output
    assert "come through" in done.output


def test_a_row_with_a_value_of_more_than_a_megabyte_comes_cut_and_an_update_of_it_too(pipe: System) -> None:
    with connection(pipe, "telemetry", "telemetry_ingest") as source, Tail(pipe.kafka.client(), LOG_TOPIC) as tail:
        (event,) = source.execute(EVENT, (PROSTHESIS, LARGE)).fetchone() or (0,)
        source.execute("UPDATE telemetry.telemetry_events SET amplitude_uv = 1 WHERE event_id = %s", (event,))
        source.execute("DELETE FROM telemetry.telemetry_events WHERE event_id = %s", (event,))
        found = tail.until(lambda found: len(found) == 3, lambda record: record.key == str(PROSTHESIS).encode())
    assert [record.value["op"] for record in found] == ["c", "u", "d"]
    codes = {row["error_code"] for record in found for row in (record.value["before"], record.value["after"]) if row}
    assert codes == {LARGE[:1000]}


def test_a_column_that_no_report_needs_is_not_captured_whatever_it_holds(pipe: System) -> None:
    with connection(pipe, "telemetry", "telemetry_owner") as owner:
        owner.execute("ALTER TABLE telemetry.telemetry_events ADD COLUMN payload text")
        try:
            with Tail(pipe.kafka.client(), LOG_TOPIC) as tail:
                (event,) = owner.execute(EVENT.replace("error_code", "payload"), (PROSTHESIS, LARGE)).fetchone() or (0,)
                owner.execute("DELETE FROM telemetry.telemetry_events WHERE event_id = %s", (event,))
                found = tail.until(lambda found: len(found) == 2, lambda record: record.key == str(PROSTHESIS).encode())
            assert ["payload" in (record.value["after"] or record.value["before"]) for record in found] == [False, False]
        finally:
            owner.execute("ALTER TABLE telemetry.telemetry_events DROP COLUMN payload")


def test_a_topic_that_nobody_made_is_named_by_the_barrier_and_by_status(pipe: System) -> None:
    (crm,) = [connector for connector in wanted_connectors() if connector.name == "crm"]
    name = f"lost-{secrets.token_hex(4)}"
    slot = name.replace("-", "_")
    lost = Connector(
        name,
        {
            **crm.config,
            "slot.name": slot,
            "topic.prefix": name,
            "snapshot.mode": "no_data",
            "transforms.route.regex": f"{name}\\.crm\\..*",
            "transforms.route.replacement": "no.such.topic",
            "producer.override.max.block.ms": "3000",
        },
    )
    try:
        with Connect(pipe.connect.url) as connect:
            connect.apply([lost])
            with pytest.raises(ConnectError, match=r"no\.such\.topic"):
                await_flow(connect, lost, auditor(pipe, "crm"), kafka(pipe), 60)
            # As where the topic that it should write is there, and it writes another: the task's own trace tells.
            elsewhere = Connector(name, {**lost.config, "transforms.route.replacement": DEAD_LETTER_TOPIC})
            with pytest.raises(ConnectError, match=r"(?s)failed: .*no\.such\.topic.*\n.*Caused by"):
                await_flow(connect, elsewhere, auditor(pipe, "crm"), kafka(pipe), 60)
            reading = ConnectReading("", "", (name,), connect.statuses())
            (problem,) = problems({"connect": reading}, StatusSection(), datetime.now(UTC))
            assert "no.such.topic" in problem.what
    finally:
        httpx.delete(f"{pipe.connect.url}/connectors/{name}", timeout=PATIENCE_S).raise_for_status()
        with connection(pipe, "crm", "postgres") as superuser:
            superuser.execute("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = %s AND active", (slot,))
            superuser.execute("SELECT pg_drop_replication_slot(%s)", (slot,))

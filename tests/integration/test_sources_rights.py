"""What each account of the source databases may do, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege

from tests.support.endpoints import PostgresEndpoint
from tests.support.sources import Sources, fresh_sources

INSERT = "INSERT INTO telemetry.telemetry_events (prosthesis_id, recorded_at, kind) VALUES (1, now(), 'signal')"


@pytest.fixture(scope="module")
def fresh(postgres: PostgresEndpoint) -> Iterator[Sources]:
    with fresh_sources(postgres) as made:
        yield made


def run(fresh: Sources, schema: str, role: str, statement: str) -> None:
    with psycopg.connect(**fresh.conninfo(schema, role)) as connection:
        connection.execute(statement.encode())
        connection.rollback()


@pytest.mark.parametrize(
    ("schema", "role", "statement"),
    [
        ("telemetry", "telemetry_ingest", INSERT),
        ("telemetry", "telemetry_ingest", "UPDATE telemetry.telemetry_events SET amplitude_uv = 1 WHERE event_id = 1"),
        ("telemetry", "telemetry_ingest", "DELETE FROM telemetry.telemetry_events WHERE event_id = 1"),
        ("telemetry", "debezium", "SELECT * FROM telemetry.telemetry_events"),
        ("telemetry", "debezium", "UPDATE telemetry.pipeline_heartbeats SET beat_at = now()"),
        ("telemetry", "debezium", "INSERT INTO telemetry.debezium_signals VALUES ('1', 't', '')"),
        ("telemetry", "auditor", "SELECT * FROM telemetry.telemetry_events"),
        ("telemetry", "auditor", "UPDATE telemetry.pipeline_heartbeats SET barrier = 'b'"),
        ("telemetry", "auditor", "INSERT INTO telemetry.debezium_signals VALUES ('1', 't', '')"),
        ("telemetry", "watcher", "SELECT count(*) FROM telemetry.pipeline_heartbeats"),
        ("crm", "watcher", "SELECT system_identifier FROM pg_control_system()"),
        ("crm", "crm_app", "INSERT INTO crm.prostheses (model, serial_number) VALUES ('m', 's')"),
        ("crm", "crm_app", "DELETE FROM crm.contracts"),
        ("crm", "debezium", "UPDATE crm.pipeline_heartbeats SET beat_at = now()"),
        ("crm", "auditor", "SELECT * FROM crm.customers, crm.contracts, crm.prostheses"),
    ],
)
def test_allowed(fresh: Sources, schema: str, role: str, statement: str) -> None:
    run(fresh, schema, role, statement)


@pytest.mark.parametrize(
    ("schema", "role", "statement"),
    [
        ("telemetry", "debezium", INSERT),
        ("telemetry", "debezium", "UPDATE telemetry.telemetry_events SET amplitude_uv = 1"),
        ("telemetry", "debezium", "DELETE FROM telemetry.telemetry_events"),
        ("telemetry", "debezium", "UPDATE telemetry.pipeline_heartbeats SET barrier = 'b'"),
        ("telemetry", "debezium", "CREATE TABLE telemetry.x (a int)"),
        ("telemetry", "debezium", "CREATE PUBLICATION everything FOR ALL TABLES"),
        ("telemetry", "debezium", "ALTER PUBLICATION bionicpro_telemetry DROP TABLE telemetry.debezium_signals"),
        ("telemetry", "telemetry_ingest", "TRUNCATE telemetry.telemetry_events"),
        ("telemetry", "telemetry_ingest", "UPDATE telemetry.telemetry_events SET event_id = 2"),
        ("telemetry", "telemetry_ingest", "UPDATE telemetry.telemetry_events SET received_at = now()"),
        ("telemetry", "telemetry_ingest", "SELECT * FROM telemetry.pipeline_heartbeats"),
        ("telemetry", "telemetry_ingest", "UPDATE telemetry.pipeline_heartbeats SET beat_at = now()"),
        ("telemetry", "telemetry_ingest", "INSERT INTO telemetry.debezium_signals VALUES ('1', 't', '')"),
        ("telemetry", "telemetry_ingest", "SELECT * FROM telemetry.schema_migrations"),
        ("telemetry", "telemetry_ingest", "ALTER TABLE telemetry.telemetry_events ADD COLUMN x int"),
        ("telemetry", "telemetry_ingest", "CREATE TABLE public.x (a int)"),
        ("telemetry", "telemetry_ingest", "CREATE TEMPORARY TABLE x (a int)"),
        ("telemetry", "telemetry_ingest", "SELECT pg_create_logical_replication_slot('x', 'pgoutput')"),
        ("telemetry", "auditor", INSERT),
        ("telemetry", "auditor", "DELETE FROM telemetry.telemetry_events"),
        ("telemetry", "auditor", "SELECT pg_read_file('/etc/passwd')"),
        ("telemetry", "watcher", "SELECT * FROM telemetry.telemetry_events"),
        ("telemetry", "watcher", "UPDATE telemetry.pipeline_heartbeats SET beat_at = now()"),
        ("telemetry", "watcher", "INSERT INTO telemetry.debezium_signals VALUES ('1', 't', '')"),
        ("crm", "watcher", "SELECT * FROM crm.customers"),
        ("crm", "crm_app", "SELECT * FROM crm.pipeline_heartbeats"),
        ("crm", "crm_app", "TRUNCATE crm.contracts"),
        ("crm", "crm_app", "CREATE TABLE crm.x (a int)"),
        ("crm", "debezium", "UPDATE crm.customers SET full_name = 'x'"),
        ("crm", "debezium", "UPDATE crm.pipeline_heartbeats SET barrier = 'b'"),
        ("crm", "auditor", "UPDATE crm.contracts SET ends_at = now()"),
        ("crm", "auditor", "SET ROLE crm_owner"),
    ],
)
def test_refused(fresh: Sources, schema: str, role: str, statement: str) -> None:
    with pytest.raises(InsufficientPrivilege):
        run(fresh, schema, role, statement)


@pytest.mark.parametrize(
    ("schema", "role"), [("crm", "telemetry_ingest"), ("crm", "telemetry_owner"), ("telemetry", "crm_app"), ("telemetry", "crm_owner")]
)
def test_an_account_of_one_source_cannot_enter_the_other(fresh: Sources, schema: str, role: str) -> None:
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        run(fresh, schema, role, "SELECT 1")


@pytest.mark.parametrize("role", ["debezium", "crm_app", "telemetry_ingest", "auditor", "watcher"])
def test_no_account_may_enter_the_maintenance_database(fresh: Sources, role: str) -> None:
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(**fresh.postgres.conninfo("postgres", role))


@pytest.mark.parametrize("role", ["debezium", "crm_app", "telemetry_ingest", "auditor", "watcher"])
def test_a_wrong_password_is_refused(fresh: Sources, role: str) -> None:
    schema = "crm" if role == "crm_app" else "telemetry"
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(**fresh.conninfo(schema, role) | {"password": "wrong"})

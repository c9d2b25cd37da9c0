"""The migrator against a real server."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg import sql
from pydantic import SecretStr

from schemas.keys import partition_of
from schemas.topics import log_partitions
from simulator.sources.migrate import MigrationError
from tests.support.endpoints import PostgresEndpoint
from tests.support.sources import Sources, fresh_sources


@pytest.fixture
def fresh(postgres: PostgresEndpoint) -> Iterator[Sources]:
    with fresh_sources(postgres) as made:
        yield made


def test_a_second_run_changes_nothing(fresh: Sources) -> None:
    assert fresh.migrate() == []


def test_runs_side_by_side_do_not_disturb_each_other(fresh: Sources) -> None:
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: fresh.migrate(), range(4)))
    assert results == [[], [], [], []]


def test_there_is_one_heartbeat_row_for_each_partition_and_its_key_lands_there(fresh: Sources) -> None:
    with psycopg.connect(**fresh.conninfo("telemetry", "auditor")) as connection:
        rows = connection.execute("SELECT log_partition, log_key FROM telemetry.pipeline_heartbeats ORDER BY 1").fetchall()
    assert [partition for partition, _ in rows] == list(range(log_partitions()))
    assert all(partition_of(key.encode(), log_partitions()) == partition for partition, key in rows)


def test_heartbeat_rows_of_another_partition_count_are_refused(fresh: Sources) -> None:
    with psycopg.connect(**fresh.conninfo("telemetry", "telemetry_owner")) as connection:
        connection.execute("DELETE FROM telemetry.pipeline_heartbeats WHERE log_partition = 3")
    with pytest.raises(MigrationError, match="partition count"):
        fresh.migrate()


def test_a_migration_changed_after_it_was_applied_is_refused(fresh: Sources) -> None:
    with psycopg.connect(**fresh.conninfo("crm", "crm_owner")) as connection:
        connection.execute("UPDATE crm.schema_migrations SET checksum = 'x' WHERE version = 1")
    with pytest.raises(MigrationError, match="0001 was changed"):
        fresh.migrate()


def test_a_new_password_takes_effect_and_the_old_one_ends(fresh: Sources) -> None:
    try:
        assert fresh.migrate({"auditor": SecretStr("another one")}) == ["role auditor altered"]
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(**fresh.conninfo("crm", "auditor"))
        psycopg.connect(**fresh.conninfo("crm", "auditor") | {"password": "another one"}).close()
    finally:
        fresh.migrate()


def test_tables_whose_old_rows_matter_say_all_of_them(fresh: Sources) -> None:
    full = {}
    for schema in ("crm", "telemetry"):
        with psycopg.connect(**fresh.conninfo(schema, "auditor")) as connection:
            full |= dict(
                connection.execute(
                    "SELECT relname, relreplident FROM pg_class WHERE relnamespace = %s::regnamespace AND relkind = 'r'", (schema,)
                ).fetchall()
            )
    assert {name for name, identity in full.items() if identity in {"f", b"f"}} == {
        "customers",
        "contracts",
        "prostheses",
        "telemetry_events",
    }


@pytest.mark.parametrize(
    ("schema", "statement", "deletes"),
    [
        ("telemetry", "TRUNCATE telemetry.telemetry_events", 3),
        ("crm", "TRUNCATE crm.contracts", 1),
        ("crm", "TRUNCATE crm.customers CASCADE", 2),
        ("crm", "TRUNCATE crm.prostheses, crm.contracts", 2),
    ],
)
def test_a_truncate_is_as_many_deletes_for_who_reads_the_publication(fresh: Sources, schema: str, statement: str, deletes: int) -> None:
    with psycopg.connect(**fresh.conninfo(schema, "postgres"), autocommit=True) as connection:
        if schema == "telemetry":
            connection.execute("INSERT INTO telemetry.telemetry_events (prosthesis_id) VALUES (1), (2), (2)")
        else:
            connection.execute("INSERT INTO crm.customers VALUES (1, gen_random_uuid(), 'N', 'e', 'UTC')")
            connection.execute("INSERT INTO crm.prostheses VALUES (1, 'M', 'S')")
            connection.execute("INSERT INTO crm.contracts VALUES (1, 'K', 1, 1, now(), NULL)")
        slot = f"truncate_{secrets.token_hex(4)}"
        connection.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", (slot,))
        try:
            connection.execute(sql.SQL(statement))  # type: ignore[arg-type]  # the parameters above
            found = connection.execute(
                "SELECT count(*) FROM pg_logical_slot_peek_binary_changes(%s, NULL, NULL, 'proto_version', '1', 'publication_names', %s)"
                " WHERE get_byte(data, 0) = ascii('D')",
                (slot, f"bionicpro_{schema}"),
            ).fetchone()
        finally:
            connection.execute("SELECT pg_drop_replication_slot(%s)", (slot,))
    assert found == (deletes,)

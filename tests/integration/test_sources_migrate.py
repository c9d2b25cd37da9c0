"""The migrator against a real server."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
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

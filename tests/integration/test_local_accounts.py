"""Accounts of the servers have the rights that the plan states, and no more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import redis as redis_library
from clickhouse_driver import Client
from clickhouse_driver.errors import ServerException

from tests.support.endpoints import ClickHouseEndpoint, PostgresEndpoint, RedisEndpoint

ACCESS_DENIED = 497
READ_ONLY = 164
SETTING_CONSTRAINT = 452
SESSIONS_TAKEN = 700
WRONG_PASSWORD = 516
DATABASE = "bionicpro_g900"


@pytest.fixture(scope="module")
def tables(clickhouse: ClickHouseEndpoint) -> Iterator[None]:
    """A generation with one table, and a view on it that readers may see under a name of the real ones (dropped again)."""
    migrator = Client(**clickhouse.client("migrator"))
    migrator.execute(f"CREATE DATABASE {DATABASE}")
    migrator.execute(f"CREATE TABLE {DATABASE}.t (x UInt64) ENGINE = MergeTree ORDER BY x")
    yield
    migrator.execute(f"DROP DATABASE {DATABASE}")
    migrator.disconnect()


def refused(clickhouse: ClickHouseEndpoint, user: str, statement: str, rows: list[tuple[Any, ...]] | None = None) -> int:
    """The error code with which the server refuses *statement* to *user*; 0 where it carries it out."""
    client = Client(**clickhouse.client(user))
    try:
        client.execute(statement, rows)
    except ServerException as error:
        return int(error.code)
    finally:
        client.disconnect()
    return 0


def test_the_writer_writes_and_reads_generations(clickhouse: ClickHouseEndpoint, tables: None) -> None:
    assert refused(clickhouse, "writer", f"INSERT INTO {DATABASE}.t VALUES", [(1,)]) == 0
    assert refused(clickhouse, "writer", f"SELECT * FROM {DATABASE}.t") == 0


@pytest.mark.parametrize(
    "statement",
    [
        f"DROP TABLE {DATABASE}.t",
        f"TRUNCATE TABLE {DATABASE}.t",
        f"ALTER TABLE {DATABASE}.t DELETE WHERE 1",
        f"CREATE TABLE {DATABASE}.u (x UInt64) ENGINE = Memory",
        "CREATE DATABASE bionicpro_g901",
        "SELECT * FROM system.users",
        "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
        "SELECT * FROM file('/etc/passwd', 'LineAsString')",
        "SYSTEM STOP LISTEN TCP",
    ],
)
def test_the_writer_may_do_nothing_else(clickhouse: ClickHouseEndpoint, tables: None, statement: str) -> None:
    assert refused(clickhouse, "writer", statement) == ACCESS_DENIED


def test_the_eraser_deletes_in_generations_and_reads_rules(clickhouse: ClickHouseEndpoint, tables: None) -> None:
    assert refused(clickhouse, "eraser", f"ALTER TABLE {DATABASE}.t DELETE WHERE x = 7") == 0
    assert refused(clickhouse, "eraser", f"ALTER TABLE {DATABASE}.t DROP PARTITION ID 'none'") == 0
    assert refused(clickhouse, "eraser", "SELECT count() FROM system.parts") == 0


@pytest.mark.parametrize(
    "statement",
    [
        f"INSERT INTO {DATABASE}.t SELECT 1",
        f"ALTER TABLE {DATABASE}.t UPDATE x = 1 WHERE 1",
        f"DROP TABLE {DATABASE}.t",
        f"TRUNCATE TABLE {DATABASE}.t",
        "ALTER TABLE bionicpro.erasure_rules DELETE WHERE 1",
        "ALTER TABLE bionicpro.erasure_receipts DELETE WHERE 1",
        "SELECT * FROM system.users",
    ],
)
def test_the_eraser_may_do_nothing_else(clickhouse: ClickHouseEndpoint, tables: None, statement: str) -> None:
    assert refused(clickhouse, "eraser", statement) == ACCESS_DENIED


@pytest.mark.parametrize(
    "statement",
    [
        f"SELECT * FROM {DATABASE}.t",
        f"INSERT INTO {DATABASE}.t SELECT 1",
        "ALTER TABLE bionicpro.source_checks DELETE WHERE 1",
        "SELECT * FROM system.users",
    ],
)
def test_the_watcher_writes_what_it_saw_and_sees_nothing_else(clickhouse: ClickHouseEndpoint, tables: None, statement: str) -> None:
    assert refused(clickhouse, "watcher", statement) == ACCESS_DENIED


@pytest.mark.parametrize(
    "statement",
    [
        f"SELECT * FROM {DATABASE}.t",
        "SELECT * FROM system.users",
        "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
        "SELECT * FROM file('/etc/passwd', 'LineAsString')",
        "SELECT * FROM remote('127.0.0.1', 'system', 'one')",
        "CREATE TABLE default.t (x UInt64) ENGINE = Memory",
    ],
)
def test_the_reader_sees_no_table_and_makes_none(clickhouse: ClickHouseEndpoint, tables: None, statement: str) -> None:
    assert refused(clickhouse, "reader", statement) in {ACCESS_DENIED, READ_ONLY}


def test_the_reader_cannot_lift_its_limits(clickhouse: ClickHouseEndpoint) -> None:
    assert refused(clickhouse, "reader", "SET max_execution_time = 3600") in {READ_ONLY, SETTING_CONSTRAINT}
    assert refused(clickhouse, "reader", "SELECT 1 SETTINGS readonly = 0") in {READ_ONLY, SETTING_CONSTRAINT}


def test_the_auditor_reads_everything_of_ours_and_writes_nothing(clickhouse: ClickHouseEndpoint, tables: None) -> None:
    assert refused(clickhouse, "auditor", f"SELECT count() FROM {DATABASE}.t") == 0
    assert refused(clickhouse, "auditor", f"INSERT INTO {DATABASE}.t VALUES", [(1,)]) in {ACCESS_DENIED, READ_ONLY}
    assert refused(clickhouse, "auditor", f"DROP TABLE {DATABASE}.t") in {ACCESS_DENIED, READ_ONLY}


@pytest.mark.parametrize(
    "statement",
    [
        f"SELECT * FROM {DATABASE}.t",
        f"INSERT INTO {DATABASE}.t VALUES (1)",
        "SELECT * FROM bionicpro.generations",
        "INSERT INTO bionicpro.erasure_rules (prosthesis_id) VALUES ('7')",
        "CREATE TABLE bionicpro.u (x UInt64) ENGINE = MergeTree ORDER BY x",
        "ALTER TABLE bionicpro.reconciliation_runs DELETE WHERE 1",
        "TRUNCATE TABLE bionicpro.reconciliation_differences",
    ],
)
def test_the_recorder_of_reconciliations_sees_no_report_and_changes_nothing(
    clickhouse: ClickHouseEndpoint, tables: None, statement: str
) -> None:
    assert refused(clickhouse, "recorder", statement) == ACCESS_DENIED


def test_clickhouses_own_session_account_lets_nobody_in(clickhouse: ClickHouseEndpoint) -> None:
    for password in ("", "wrong"):
        with Client(clickhouse.host, clickhouse.port, user="default", password=password) as client, pytest.raises(ServerException) as error:
            client.execute("SELECT 1")
        assert error.value.code in {SESSIONS_TAKEN, WRONG_PASSWORD}


OUTSIDE = (
    "SELECT * FROM file('/etc/passwd', 'LineAsString')",
    "SELECT file('/etc/passwd')",
    "SELECT file('../../../../../../etc/passwd')",
    "SELECT file('/proc/self/environ')",
    "SELECT * FROM `/etc/passwd`",
    "INSERT INTO FUNCTION file('out.csv', 'CSV', 'x String') SELECT 'x'",
    "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
    "SELECT * FROM remote('127.0.0.1', 'system', 'one')",
    "SELECT * FROM s3('http://127.0.0.1:1/b/k', 'CSV', 'x String')",
    "SELECT * FROM mysql('127.0.0.1:1', 'd', 't', 'u', 'p')",
    "SELECT * FROM postgresql('127.0.0.1:1', 'd', 't', 'u', 'p')",
    "SELECT * FROM redis('127.0.0.1:1', 'k', 'k String')",
    "SELECT * FROM mongodb('127.0.0.1:1', 'd', 'c', 'u', 'p', 'x String')",
    "SELECT * FROM sqlite('x', 't')",
    "SELECT * FROM executable('x.sh', 'CSV', 'x String')",
    "SELECT * FROM python('x')",
    "SELECT * FROM python('x') SETTINGS allow_python_table_function = 1",
    "SET allow_python_table_function = 1",
    f"CREATE TABLE {DATABASE}.f (x String) ENGINE = File('CSV')",
    f"CREATE TABLE {DATABASE}.u (x String) ENGINE = URL('http://127.0.0.1:1/', 'CSV')",
    f"CREATE TABLE {DATABASE}.k (x String) ENGINE = Kafka('127.0.0.1:1', 't', 'g', 'CSV')",
    f"CREATE TABLE {DATABASE}.p (x String) ENGINE = Python('x')",
    f"CREATE TABLE {DATABASE}.e (x String) ENGINE = Executable('x.sh', 'CSV')",
    f"CREATE DICTIONARY {DATABASE}.d (x UInt64) PRIMARY KEY x SOURCE(FILE(path '/etc/passwd' format 'CSV')) LAYOUT(FLAT()) LIFETIME(1)",
    "CREATE DATABASE outside ENGINE = PostgreSQL('127.0.0.1:1', 'a', 'b', 'c')",
    "CREATE DATABASE outside ENGINE = SQLite('x')",
    "BACKUP DATABASE default TO File('b')",
    "CREATE FUNCTION f AS (x) -> x",
    "CREATE USER somebody",
    "SYSTEM STOP LISTEN TCP",
    "SYSTEM START LISTEN HTTP",
    "SYSTEM SHUTDOWN",
)


@pytest.mark.parametrize("user", ["migrator", "writer", "eraser", "reader", "auditor", "recorder"])
def test_no_account_of_clickhouse_reaches_files_the_network_or_code(clickhouse: ClickHouseEndpoint, tables: None, user: str) -> None:
    allowed = [statement for statement in OUTSIDE if refused(clickhouse, user, statement) == 0]
    assert allowed == []
    assert refused(clickhouse, user, "SELECT 1") == 0, "the server is still there"


def test_a_wrong_password_is_refused_by_clickhouse(clickhouse: ClickHouseEndpoint) -> None:
    with pytest.raises(ServerException, match="Authentication failed"):
        Client(host=clickhouse.host, port=clickhouse.port, user="writer", password="wrong").execute("SELECT 1")


def test_postgresql_asks_its_superuser_for_a_password(postgres: PostgresEndpoint) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(**postgres.conninfo() | {"password": "wrong"})


def test_postgresql_streams_changes_logically(postgres: PostgresEndpoint) -> None:
    with psycopg.connect(**postgres.conninfo()) as connection:
        found = connection.execute("SELECT current_setting('wal_level'), current_setting('password_encryption')").fetchone()
    assert found == ("logical", "scram-sha-256")


def test_redis_knows_nobody_without_a_password(redis: RedisEndpoint) -> None:
    with (
        redis_library.Redis(host=redis.host, port=redis.port) as stranger,
        pytest.raises(redis_library.exceptions.AuthenticationError),
    ):
        stranger.ping()


@pytest.mark.parametrize("command", [("FLUSHALL",), ("CONFIG", "GET", "*"), ("KEYS", "*"), ("ACL", "LIST"), ("SHUTDOWN",)])
def test_the_bffs_account_keeps_sessions_and_administers_nothing(redis: RedisEndpoint, command: tuple[str, ...]) -> None:
    with redis_library.Redis.from_url(redis.url) as client:
        assert client.set("bionicpro:test", "1", ex=5)
        with pytest.raises(redis_library.exceptions.NoPermissionError):
            client.execute_command(*command)

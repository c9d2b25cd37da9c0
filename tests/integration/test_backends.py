"""What starts the servers of tests: a server can be stopped and started again, whatever it runs in."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest

from local.servers import postgres
from tests.support.processor import until
from tests.support.system import BACKENDS, System


@pytest.fixture
def fresh(pytestconfig: pytest.Config) -> Iterator[System]:
    """A system of its own, nothing of it started yet."""
    system = System(BACKENDS[pytestconfig.getoption("--backend")]())
    yield system
    system.backend.end()


def test_a_server_that_was_stopped_comes_back_at_its_port_with_its_data(fresh: System) -> None:
    conninfo = fresh.postgres.conninfo()
    with psycopg.connect(**conninfo, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS value")
    fresh.backend.stop("postgres")
    assert not postgres.ready(fresh.instance)
    fresh.backend.start("postgres")
    until(lambda: postgres.ready(fresh.instance), "PostgreSQL answers again")
    with psycopg.connect(**conninfo) as connection:
        assert connection.execute("SELECT value FROM kept").fetchall() == [(7,)]


def test_data_that_were_saved_are_there_again_after_they_were_restored(fresh: System) -> None:
    def values() -> list[tuple[int]]:
        with psycopg.connect(**fresh.postgres.conninfo(), autocommit=True) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS growing (value int)")
            connection.execute("INSERT INTO growing SELECT count(*) FROM growing")
            return connection.execute("SELECT value FROM growing ORDER BY 1").fetchall()

    def while_it_is_stopped(do: Callable[[str], None]) -> None:
        fresh.backend.stop("postgres")
        do("postgres")
        fresh.backend.start("postgres")
        until(lambda: postgres.ready(fresh.instance), "PostgreSQL answers again")

    assert values() == [(0,)]
    while_it_is_stopped(fresh.backend.save)
    assert values() == [(0,), (1,)]
    while_it_is_stopped(fresh.backend.restore)
    assert values() == [(0,), (1,)]

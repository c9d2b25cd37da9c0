"""What starts the servers of tests: a server can be stopped and started again, whatever it runs in."""

from __future__ import annotations

from collections.abc import Iterator

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

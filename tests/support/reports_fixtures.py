"""Fixtures of the reports service's tests. Its ClickHouse is its own: positions and rows here are made up, and nobody else's may be disturbed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.reports_world import Issuer, Mart, Service, running
from tests.support.system import BACKENDS, System
from tests.support.tcp_proxy import TcpProxies, TcpProxy

QUERY_LOG = """<clickhouse>
    <query_log replace="1"><database>system</database><table>query_log</table></query_log>
</clickhouse>
"""


@pytest.fixture(scope="session")
def mart(pytestconfig: pytest.Config) -> Iterator[Mart]:
    """A mart without rows."""
    backend = BACKENDS[pytestconfig.getoption("--backend")]()
    overrides = backend.instance.data("clickhouse") / "config.d"
    overrides.mkdir(parents=True, exist_ok=True)
    (overrides / "query_log.xml").write_text(QUERY_LOG, encoding="utf-8")
    try:
        made = Mart(System(backend).clickhouse)
        yield made
        made.close()
    finally:
        backend.end()


@pytest.fixture(scope="session")
def issuer() -> Iterator[Issuer]:
    made = Issuer()
    made.server.start()
    yield made
    made.server.stop()


@pytest.fixture(scope="session")
def service(mart: Mart, issuer: Issuer) -> Iterator[Service]:
    """The reports service; tests keep apart by their users and leave its clock alone."""
    with running(mart, issuer) as made:
        yield made


@pytest.fixture
def clickhouse_gate(mart: Mart) -> Iterator[TcpProxy]:
    """Stands before ClickHouse."""
    gates = TcpProxies()
    yield gates.make(mart.endpoint.port, mart.endpoint.host)
    gates.close()

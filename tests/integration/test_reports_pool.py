"""The bounded pool against a real ClickHouse: what is given up at its deadline is nobody's fault but the query's."""

from __future__ import annotations

import asyncio

import pytest
from pydantic import SecretStr

from reports_api.pool import ClickHousePool, StoreUnavailableError
from service_kit.settings import ClickHouseSettings
from tests.support.reports_world import Mart
from tests.support.tcp_proxy import TcpProxy

pytest_plugins = ["tests.support.reports_fixtures"]


@pytest.fixture
def gated(mart: Mart, clickhouse_gate: TcpProxy) -> ClickHouseSettings:
    account = mart.endpoint.accounts["reader"]
    return ClickHouseSettings(host=mart.endpoint.host, port=clickhouse_gate.port, user=account.user, password=SecretStr(account.password))


async def test_a_query_that_is_too_slow_does_not_make_the_server_count_as_away(gated: ClickHouseSettings) -> None:
    pool = ClickHousePool(gated, size=1, max_waiting=10, deadline_s=2)
    with pytest.raises(StoreUnavailableError, match="within"):
        await pool.query("SELECT sleep(3)", {})
    assert await pool.query("SELECT 1", {}) == [(1,)]
    await pool.close()


async def test_giving_up_at_any_moment_of_a_connections_life_is_the_same_answer(
    gated: ClickHouseSettings, clickhouse_gate: TcpProxy
) -> None:
    """A thread that opens or closes its connection must not be disturbed by the deadline of the request that waits for it."""
    for number in range(60):
        if number % 20 == 10:
            clickhouse_gate.stall()
            clickhouse_gate.cut()
        if number % 20 == 0:
            clickhouse_gate.open()
        pool = ClickHousePool(gated, size=4, max_waiting=10, deadline_s=0.002 * (1 + number % 10))
        outcomes = await asyncio.gather(*(pool.query("SELECT sleep(0.01)", {}) for _ in range(8)), return_exceptions=True)
        strange = [outcome for outcome in outcomes if isinstance(outcome, BaseException) and not isinstance(outcome, StoreUnavailableError)]
        assert strange == []
        await pool.close()

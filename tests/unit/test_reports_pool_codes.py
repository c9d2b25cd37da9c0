"""What the pool makes of the server's refusals: those that pass are told as an absence (503), which is worth asking again."""

from __future__ import annotations

import pytest
from clickhouse_driver.errors import ErrorCodes, ServerException
from pydantic import SecretStr

from reports_api.pool import BUSY_CODES, ClickHousePool, StoreFailedError, StoreUnavailableError
from service_kit import clickhouse
from service_kit.clickhouse_errors import OUTAGE_CODES
from service_kit.settings import ClickHouseSettings


class RefusingClient:
    """In place of the driver's client: its server answers with *code*."""

    def __init__(self, code: int) -> None:
        self._code = code

    def execute(self, *_: object) -> None:
        raise ServerException("refused", self._code)

    def disconnect(self) -> None:
        pass

    class connection:  # noqa: N801  the driver's name
        socket = None


async def outcome(monkeypatch: pytest.MonkeyPatch, code: int) -> Exception:
    monkeypatch.setattr(clickhouse, "client", lambda *_, **__: RefusingClient(code))
    pool = ClickHousePool(ClickHouseSettings(user="reader", password=SecretStr("none")), size=1, max_waiting=1, deadline_s=5)
    try:
        with pytest.raises((StoreUnavailableError, StoreFailedError)) as raised:
            await pool.query("SELECT 1", {})
        return raised.value
    finally:
        await pool.close()


@pytest.mark.parametrize("code", sorted(BUSY_CODES | OUTAGE_CODES))
async def test_what_passes_by_itself_is_an_absence(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    assert isinstance(await outcome(monkeypatch, code), StoreUnavailableError)


@pytest.mark.parametrize("code", [ErrorCodes.SYNTAX_ERROR, ErrorCodes.DATABASE_ACCESS_DENIED])
async def test_what_does_not_pass_is_a_failure(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    assert isinstance(await outcome(monkeypatch, code), StoreFailedError)

"""What a scheduler waits for is not known while ClickHouse is away, and that is no failure."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from local.ports import any_free
from reconciliation.mart import MartError
from reconciliation.scheduled import reached
from service_kit.settings import ClickHouseSettings


def settings() -> ClickHouseSettings:
    """Of a port at which nobody listens."""
    return ClickHouseSettings(host="127.0.0.1", port=any_free(1)[0], user="auditor", password=SecretStr("x"), database="bionicpro")


def test_a_clickhouse_that_is_away_is_asked_again() -> None:
    assert reached(settings(), {"0": 7}) is False


def test_what_clickhouse_refuses_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise MartError("no generation serves")

    monkeypatch.setattr("reconciliation.scheduled.serving_mart", refused)
    with pytest.raises(MartError):
        reached(settings(), {"0": 7})

"""``bionicpro status`` against the real pipeline."""

from __future__ import annotations

import pytest

from cli.status.judge import problems
from cli.status.probes import database
from cli.status.settings import StatusSection, StatusSettings
from schemas.keys import LOG_TOPIC
from schemas.topics import catalogue
from tests.support.operator import WITHOUT, Operator, with_processor
from tests.support.system import System


@pytest.fixture(scope="module")
def operator(pipe: System) -> Operator:
    return with_processor(pipe)


def test_all_is_well_when_every_part_runs_and_every_partition_is_fresh(operator: Operator) -> None:
    told = operator.json("status", *WITHOUT)
    assert told["ok"] is True
    assert {part["state"] for part in told["parts"].values()} == {"ok"}
    assert told["age_s"][LOG_TOPIC].keys() == {str(partition) for partition in range(catalogue()[LOG_TOPIC].partitions)}
    assert told["slots"]["bionicpro_telemetry"]["active"] is True
    assert told["versions"]["connect"]
    assert told["versions"]["debezium"]


def test_a_part_that_is_down_is_named_and_the_others_are_still_told(operator: Operator) -> None:
    told = operator.with_variables(BIONICPRO_CONNECT__URL="http://127.0.0.1:1").json("status", *WITHOUT, code=1)
    assert [problem["part"] for problem in told["problems"]] == ["connect"]
    assert {name for name, part in told["parts"].items() if part["state"] != "ok"} == {"connect"}


def test_a_part_without_an_address_is_not_called_well(operator: Operator) -> None:
    parts = ("--without", "keycloak", "--without", "dead-letters", "--without", "reports-api")
    result = operator.without("BIONICPRO_STATUS__BFF_URL")("status", *parts)
    assert result.exit_code == 1
    assert "set BIONICPRO_STATUS__BFF_URL" in result.output


def test_a_part_that_does_not_exist_cannot_be_left_out(operator: Operator) -> None:
    assert operator("status", "--without", "kafak").exit_code == 2


def test_a_slot_that_is_not_there_is_a_dropped_slot(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in operator.variables.items():
        monkeypatch.setenv(name, value)
    settings = StatusSettings()  # type: ignore[call-arg]  # from the environment
    reading = database(settings.crm_db, "no_such_slot")
    (problem,) = problems({"postgres-crm": reading}, StatusSection(), None)
    assert "the slot no_such_slot was dropped" in problem.what
    assert database(settings.telemetry_db, "bionicpro_telemetry").slot is not None

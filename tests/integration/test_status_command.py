"""``bionicpro status`` against the real pipeline."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from confluent_kafka import Producer

from cli.broker import Broker
from cli.open_transactions import open_since
from cli.status.judge import problems
from cli.status.probes import database
from cli.status.settings import StatusSection, StatusSettings
from schemas.keys import CRM_TOPIC, LOG_TOPIC
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


def test_a_transaction_that_nobody_ends_is_found_with_its_time(pipe: System) -> None:
    producer = Producer(pipe.kafka.client() | {"transactional.id": "hangs", "log_level": 0})
    producer.init_transactions(60)
    settings, began = pipe.kafka.settings("operator"), datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    # CRM's changes have one partition, and its connector goes on writing behind this record.
    before = Broker(settings).topics([CRM_TOPIC])
    assert began not in open_since(settings, before, 10).get(CRM_TOPIC, {}).values()
    producer.begin_transaction()
    producer.produce(CRM_TOPIC, b"{}", b"hangs", partition=0, timestamp=int(began.timestamp() * 1000))
    producer.flush(60)
    held = Broker(settings).topics([CRM_TOPIC])
    try:
        assert open_since(settings, held, 10) == {CRM_TOPIC: {0: began}}
    finally:
        producer.abort_transaction(60)
    assert began not in open_since(settings, Broker(settings).topics([CRM_TOPIC]), 10).get(CRM_TOPIC, {}).values()

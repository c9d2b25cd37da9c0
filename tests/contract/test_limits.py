"""Each place that a record passes takes more than the one before it may hand on, and every file and program agrees with the table."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from connectors.apply import read_connectors
from schemas import limits
from schemas.keys import CRM_TOPIC, DEAD_LETTER_TOPIC, LOG_TOPIC
from schemas.mapping import SourceMapping
from schemas.ownership import Ownership, OwnershipDocument, encode
from schemas.topics import catalogue
from service_kit.settings import KafkaSettings
from stream_processor.adapters.dead_letters import MOST_VALUE

REPOSITORY = Path(__file__).resolve().parents[2]
CONNECTORS = {connector.name: connector.config for connector in read_connectors()}
MAPPING = SourceMapping.read()
BROKERS = (
    "deploy/kafka/server.properties",
    "local/templates/kafka.properties",
    "deploy/connect/connect.properties",
    "local/templates/connect.properties",
)


@pytest.mark.parametrize("chain", limits.CHAINS, ids=lambda chain: chain[0].name)
def test_each_place_takes_more_than_the_one_before_hands_on(chain: tuple[limits.Place, ...]) -> None:
    sizes = [place.bytes for place in chain]
    assert sizes == sorted(set(sizes)), chain


@pytest.mark.parametrize(
    ("topic", "size"),
    [
        (CRM_TOPIC, limits.CRM_MESSAGE),
        (LOG_TOPIC, limits.LOG_MESSAGE),
        (DEAD_LETTER_TOPIC, limits.DEAD_LETTER_MESSAGE),
        ("bionicpro-processor-directory-changelog", limits.DIRECTORY_MESSAGE),
    ],
)
def test_topics_take_what_the_table_says(topic: str, size: int) -> None:
    assert catalogue()[topic].config["max.message.bytes"] == str(size)


def test_every_topic_says_how_large_its_messages_may_be() -> None:
    assert [name for name, topic in catalogue().items() if "max.message.bytes" not in topic.config] == []


@pytest.mark.parametrize("name", CONNECTORS)
def test_connectors_send_what_the_table_says_and_cut_texts_before(name: str) -> None:
    config = CONNECTORS[name]
    assert config["producer.override.max.request.size"] == str(limits.CONNECTOR_REQUEST)
    cuts = [key for key in config if key.startswith("column.truncate")]
    assert cuts == [f"column.truncate.to.{limits.TEXT_CHARACTERS}.chars"]
    tables = {column.rpartition(r"\.")[0] for column in _alternatives(config["column.include.list"])} - {rf"{name}\.debezium_signals"}
    cut = config[cuts[0]].split(",")
    for table in tables:
        assert any(re.fullmatch(pattern, f"{table}.anything".replace("\\", "")) for pattern in cut), f"{table} is not cut"


@pytest.mark.parametrize("name", CONNECTORS)
def test_only_columns_that_are_named_are_captured(name: str) -> None:
    for table in CONNECTORS[name]["table.include.list"].split(","):
        named = _columns(name, table)
        assert 0 < len(named) <= limits.CAPTURED_COLUMNS, table
        assert table.endswith(".pipeline_heartbeats") or ".*" not in named


def test_every_column_of_the_mapping_is_captured() -> None:
    telemetry, crm = MAPPING.telemetry, MAPPING.crm
    used = {item.column for item in (getattr(telemetry, name) for name in type(telemetry).model_fields) if hasattr(item, "column")}
    assert used <= _columns("telemetry", telemetry.table)
    for kind in (crm.customers, crm.contracts, crm.prostheses):
        values = {name: getattr(kind, name) for name in type(kind).model_fields if name != "table"}
        assert {getattr(value, "column", value) for value in values.values()} <= _columns("crm", kind.table), kind.table


def test_clients_send_and_fetch_what_the_table_says() -> None:
    assert KafkaSettings().producer()["message.max.bytes"] == limits.OPERATOR_REQUEST
    source = (REPOSITORY / "stream_processor/app.py").read_text(encoding="utf-8")
    assert "producer_max_request_size=limits.PROCESSOR_REQUEST" in source
    assert "consumer_max_fetch_size=limits.PARTITION_FETCH" in source
    assert limits.LETTER_KEY + limits.LETTER_HEADERS + limits.LETTER_OVERHEAD + MOST_VALUE == limits.DEAD_LETTER
    assert MOST_VALUE > limits.LOG_MESSAGE, "what the log takes uncompressed is kept whole"


@pytest.mark.parametrize("file", BROKERS)
def test_brokers_and_connect_set_no_limit_of_their_own(file: str) -> None:
    text = (REPOSITORY / file).read_text(encoding="utf-8")
    assert re.findall(r"^\S*(?:message\.max\.bytes|max\.request\.size|fetch\.max\.bytes)\S*=", text, re.MULTILINE) == []


def test_a_document_of_five_thousand_contracts_with_the_longest_texts_of_the_demo_is_no_record_too_large() -> None:
    """A contract costs some 330 bytes, 590 with texts as long as the demo's tables allow; the largest document has more than 5,000 of those."""
    contract = Ownership(1_700_000_000_000_000, 1_800_000_000_000_000, "0" * 36, "1" * 19, "n" * 200, "z" * 64, "2" * 19, "c" * 64)
    document = OwnershipDocument("1" * 19, 1 << 60, "m" * 100, "s" * 64, (contract,) * 5_000)
    assert len(encode(document)) < limits.OWN_RECORD


def _alternatives(listed: str) -> list[str]:
    """The patterns of a comma-separated list; a comma within parentheses is none."""
    return re.split(r",(?![^(]*\))", listed)


def _columns(connector: str, table: str) -> set[str]:
    prefix = table.replace(".", r"\.") + r"\."
    (pattern,) = (
        item.removeprefix(prefix) for item in _alternatives(CONNECTORS[connector]["column.include.list"]) if item.startswith(prefix)
    )
    return set(pattern.strip("()").split("|"))

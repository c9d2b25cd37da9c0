"""Every topic whose records are ours to define has real examples, and each has the topic's shape."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from schemas.commands import decode_command
from schemas.erasure import decode_request, request_key
from schemas.keys import CRM_TOPIC, HEARTBEAT_PREFIX, LOG_TOPIC, TABLE_FIELD, crm_key, heartbeat_key, prosthesis_key
from schemas.topics import CATALOGUE, catalogue, log_partitions

ROOT = CATALOGUE.parent.parent
ENVELOPE = {"before", "after", "source", "op", "ts_ms"}
OPS = {"c", "r", "u", "d"}


def examples(topic: str) -> list[Path]:
    folder = catalogue()[topic].examples
    assert folder is not None
    return sorted((ROOT / folder).glob("*.json"))


def load(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def each(topic: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", examples(topic), ids=lambda path: path.stem)


@pytest.mark.parametrize("topic", [topic for topic in catalogue().values() if topic.examples], ids=lambda topic: topic.name)
def test_a_topic_with_an_examples_folder_has_examples(topic: Any) -> None:
    assert examples(topic.name)


@each(LOG_TOPIC)
def test_a_log_key_is_a_prosthesis_or_a_heartbeat_of_its_partition(path: Path) -> None:
    key = load(path)["key"]
    if key.startswith(HEARTBEAT_PREFIX):
        assert key == heartbeat_key(int(key.split("-")[1]), log_partitions())
    else:
        assert prosthesis_key(key) == key.encode()


@each(LOG_TOPIC)
def test_a_log_record_is_an_envelope_or_has_a_type(path: Path) -> None:
    value = load(path)["value"]
    if "op" in value:
        assert_envelope(value)
    else:
        assert decode_command(json.dumps(value).encode()).prosthesis_id == load(path)["key"]


@each(CRM_TOPIC)
def test_a_crm_change_is_an_envelope_or_a_tombstone_under_its_table_and_primary_key(path: Path) -> None:
    record = load(path)
    key = json.loads(record["key"])
    table = key.pop(TABLE_FIELD, None)
    ((column, identifier),) = key.items()
    if column == "erasure_request":
        assert decode_request(json.dumps(record["value"]).encode()).request_id == identifier
        assert record["key"].encode() == request_key(identifier)
    elif record["value"] is not None:
        assert_envelope(record["value"])
        row = record["value"]["after"] or record["value"]["before"]
        assert row[column] == identifier
        assert record["key"].encode() == crm_key(f"crm.{record['value']['source']['table']}", column, identifier)
    else:
        assert table.startswith("crm.crm.")


def assert_envelope(value: dict[str, Any]) -> None:
    assert set(value) == ENVELOPE
    assert value["op"] in OPS
    assert isinstance(value["source"]["ts_ms"], int)
    assert value["source"]["table"]
    assert (value["after"] is None) == (value["op"] == "d")
    assert (value["before"] is None) == (value["op"] in {"c", "r"} or value["source"]["table"] == "pipeline_heartbeats")
    # Rows of an incremental snapshot come without an LSN of their own; where they stand is the sequence's last number.
    assert (value["source"]["lsn"] is None) == (value["source"]["snapshot"] == "incremental")
    assert len(json.loads(value["source"]["sequence"])) == 2

"""Reading the topic catalogue."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.keys import CRM_TOPIC, DEAD_LETTER_TOPIC, LOG_TOPIC
from schemas.topics import CatalogueError, catalogue, log_partitions, read_catalogue, read_topic

GOOD = """
name: a.topic
description: d
partitions: 3
key: k
value: v
config: {retention.ms: 1000, preallocate: true}
owner: o
producers: [p]
consumers: [c]
"""


def write(folder: Path, text: str, name: str = "a.topic.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_the_catalogue_lists_every_topic_that_the_code_names() -> None:
    assert {LOG_TOPIC, CRM_TOPIC, DEAD_LETTER_TOPIC} <= set(catalogue())


def test_the_log_has_24_partitions_and_crm_changes_one() -> None:
    assert log_partitions() == 24
    assert catalogue()[CRM_TOPIC].partitions == 1


def test_crm_changes_is_compacted_and_the_log_is_not() -> None:
    assert catalogue()[CRM_TOPIC].config["cleanup.policy"] == "compact"
    assert catalogue()[LOG_TOPIC].config["cleanup.policy"] == "delete"


def test_settings_are_text_as_the_broker_reports_them(tmp_path: Path) -> None:
    assert read_topic(write(tmp_path, GOOD)).config == {"retention.ms": "1000", "preallocate": "true"}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (GOOD.replace("name: a.topic", "name: other"), "name the file other.yaml"),
        (GOOD.replace("partitions: 3", "partitions: 0"), "at least 1"),
        (GOOD + "surprise: 1\n", "surprise"),
        (GOOD.replace("owner: o\n", ""), "owner"),
        ("[", "a.topic.yaml"),
    ],
)
def test_a_wrong_description_is_refused_by_the_name_of_its_file(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(CatalogueError, match=complaint) as caught:
        read_topic(write(tmp_path, text))
    assert "a.topic.yaml" in str(caught.value)


def test_an_empty_catalogue_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError):
        read_catalogue(tmp_path)

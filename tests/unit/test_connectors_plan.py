"""What `connectors apply` would do, decided without Kafka Connect; and reading the connectors' files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from connectors.apply import ConnectError, Connector, ConnectorStatus, cause_of, plan, read_connectors

WANTED = Connector("c", {"a": "1"})
RUNNING = ConnectorStatus("c", "RUNNING", ("RUNNING",))


def test_a_missing_connector_is_created() -> None:
    assert [step.action for step in plan([WANTED], {}, {})] == ["create"]


def test_a_running_connector_with_the_same_settings_needs_nothing() -> None:
    assert plan([WANTED], {"c": {"a": "1", "name": "c"}}, {"c": RUNNING}) == []


def test_a_changed_and_a_surplus_setting_are_both_told() -> None:
    (step,) = plan([WANTED], {"c": {"a": "2", "b": "3", "name": "c"}}, {"c": RUNNING})
    assert step.action == "alter"
    assert step.details == ("a: 2 → 1", "b: remove")


def test_a_failed_task_is_restarted_where_the_settings_agree() -> None:
    failed = ConnectorStatus("c", "RUNNING", ("FAILED",), ("Boom\nat line 1",))
    (step,) = plan([WANTED], {"c": {"a": "1", "name": "c"}}, {"c": failed})
    assert step.action == "restart"
    assert step.details == ("Boom",)


def test_a_connector_that_is_no_file_here_is_left_alone() -> None:
    assert plan([], {"other": {"name": "other"}}, {}) == []


@pytest.mark.parametrize("tasks", [(), ("RUNNING", "UNASSIGNED"), ("PAUSED",)])
def test_a_connector_runs_only_when_it_has_tasks_and_all_of_them_run(tasks: tuple[str, ...]) -> None:
    assert not ConnectorStatus("c", "RUNNING", tasks).running
    assert RUNNING.running


@pytest.mark.parametrize("document", [{"name": "other", "config": {}}, {"name": "c"}, {"name": "c", "config": {"a": 1}}])
def test_a_file_that_is_no_connector_is_refused_by_name(tmp_path: Path, document: object) -> None:
    (tmp_path / "c.json").write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(ConnectError, match=r"c\.json"):
        read_connectors(tmp_path)


def test_the_cause_of_a_failed_task_names_the_topic_that_is_not_there() -> None:
    trace = (
        "org.apache.kafka.connect.errors.ConnectException: Unrecoverable exception from producer send callback\n\tat a.B(C.java:1)\n"
        "Caused by: org.apache.kafka.common.errors.TimeoutException: Topic no.such.topic not present in metadata after 3000 ms.\n"
        "Caused by: org.apache.kafka.common.errors.UnknownTopicOrPartitionException: This server does not host this topic-partition.\n"
    )
    assert "Topic no.such.topic not present" in cause_of(trace)
    assert cause_of("java.lang.IllegalStateException: alone\n\tat a.B(C.java:1)") == "java.lang.IllegalStateException: alone"
    assert cause_of("") == ""

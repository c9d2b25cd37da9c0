"""What `topics apply` would do, decided without a broker."""

from __future__ import annotations

from connectors.topics import BrokerTopic, plan
from schemas.topics import Topic


def topic(partitions: int = 3, **config: str) -> Topic:
    return Topic(name="t", description="", partitions=partitions, key="", value="", config=config, owner="", producers=(), consumers=())


def test_a_missing_topic_is_created() -> None:
    (step,) = plan([topic()], {})
    assert (step.action, step.subject) == ("create", "t")


def test_an_equal_topic_needs_nothing() -> None:
    assert plan([topic(retention="1")], {"t": BrokerTopic(3, 1, {"retention": "1"})}) == []


def test_settings_that_the_catalogue_does_not_name_are_left_alone() -> None:
    assert plan([topic()], {"t": BrokerTopic(3, 1, {"segment.bytes": "7"})}) == []


def test_another_setting_is_altered_and_the_step_says_from_what_to_what() -> None:
    (step,) = plan([topic(retention="2")], {"t": BrokerTopic(3, 1, {"retention": "1"})})
    assert step.action == "alter"
    assert step.details == ("retention: 1 → 2",)


def test_another_partition_count_is_refused_even_where_settings_differ_too() -> None:
    (step,) = plan([topic(4, retention="2")], {"t": BrokerTopic(3, 1, {"retention": "1"})})
    assert step.action == "refuse"
    assert "3 partitions" in step.details[0]
    assert "says 4" in step.details[0]

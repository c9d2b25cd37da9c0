"""`connectors apply` and `topics apply` against real Kafka Connect and Kafka."""

from __future__ import annotations

import re
import secrets
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from confluent_kafka.admin import AdminClient

from connectors import topics
from connectors.apply import Connect, ConnectError, Connector, wanted_connectors
from schemas.topics import Topic, catalogue
from tests.support.system import System
from tests.support.waiting import PATIENCE_S


def test_applying_connectors_again_changes_nothing(pipe: System) -> None:
    with Connect(pipe.connect.url) as connect:
        assert connect.apply(wanted_connectors()) == []


def test_connects_answers_hold_no_password(pipe: System) -> None:
    answers = httpx.get(f"{pipe.connect.url}/connectors?expand=info&expand=status", timeout=PATIENCE_S).text
    assert pipe.postgres.accounts["debezium"].password not in answers


def test_a_connector_that_fails_is_reported_with_its_trace(pipe: System) -> None:
    (crm,) = [connector for connector in wanted_connectors() if connector.name == "crm"]
    name = f"failing-{secrets.token_hex(4)}"
    broken = Connector(name, {**crm.config, "slot.name": name.replace("-", "_"), "publication.name": "no_such_publication"})
    try:
        with (
            Connect(pipe.connect.url) as connect,
            pytest.raises(ConnectError) as refused,
        ):
            connect.apply([broken])
        summary, trace = str(refused.value).split("\n", maxsplit=1)
        assert re.fullmatch(rf"connector {name} failed: .*Publication autocreation is disabled.*", summary)
        assert "\tat io.debezium" in trace
    finally:
        httpx.delete(f"{pipe.connect.url}/connectors/{name}", timeout=PATIENCE_S).raise_for_status()


def test_a_configuration_that_connect_refuses_is_told_in_its_words(pipe: System) -> None:
    with Connect(pipe.connect.url) as connect, pytest.raises(ConnectError, match=r"database\.hostname"):
        connect.apply(
            [Connector("refused", {"connector.class": "io.debezium.connector.postgresql.PostgresConnector", "topic.prefix": "x"})]
        )


def test_an_absent_connect_is_named_after_the_deadline() -> None:
    with Connect("http://127.0.0.1:9", deadline_s=0.5) as connect, pytest.raises(ConnectError, match=r"127\.0\.0\.1:9"):
        connect.configs()


def test_applying_topics_again_changes_nothing(pipe: System) -> None:
    assert topics.apply(admin_of(pipe), list(catalogue().values()), replication_factor=1) == []


def test_a_topic_is_created_altered_and_never_repartitioned(pipe: System) -> None:
    admin = admin_of(pipe)
    topic = described(f"test-{secrets.token_hex(4)}", partitions=3, retention="1000")
    try:
        assert [step.action for step in topics.apply(admin, [topic], 1)] == ["create"]
        altered = described(topic.name, partitions=3, retention="2000")
        assert [step.action for step in topics.apply(admin, [altered], 1)] == ["alter"]
        assert topics.apply(admin, [altered], 1) == []
        with pytest.raises(topics.TopicsRefusedError, match=topic.name):
            topics.apply(admin, [described(topic.name, partitions=4, retention="3000")], 1)
        assert topics.read_topics(admin, [topic.name])[topic.name].config["retention.ms"] == "2000"
    finally:
        admin.delete_topics([topic.name])[topic.name].result(timeout=PATIENCE_S)


def test_two_who_apply_at_once_both_succeed(pipe: System) -> None:
    admin = admin_of(pipe)
    topic = described(f"test-{secrets.token_hex(4)}", partitions=3)
    try:
        with ThreadPoolExecutor(4) as pool:
            for _ in pool.map(lambda _: topics.apply(admin_of(pipe), [topic], 1), range(4)):
                pass
        assert topics.apply(admin, [topic], 1) == []
    finally:
        admin.delete_topics([topic.name])[topic.name].result(timeout=PATIENCE_S)


def test_nothing_is_created_where_one_topic_is_refused(pipe: System) -> None:
    admin = admin_of(pipe)
    existing, missing = (f"test-{secrets.token_hex(4)}" for _ in range(2))
    topics.apply(admin, [described(existing, partitions=2)], 1)
    try:
        with pytest.raises(topics.TopicsRefusedError):
            topics.apply(admin, [described(existing, partitions=1), described(missing, partitions=1)], 1)
        assert topics.read_topics(admin, [missing]) == {}
    finally:
        admin.delete_topics([existing])[existing].result(timeout=PATIENCE_S)


def test_connectors_cannot_make_topics(pipe: System) -> None:
    """Whatever Debezium wanted (its own heartbeats, its signals) is in no topic outside the catalogue and Connect's own."""
    names = {
        name
        for name in admin_of(pipe).list_topics(timeout=PATIENCE_S).topics
        if not name.startswith(("connect-", "__", "test-", "placement-"))
    }
    foreign = {name for name in names if name.startswith(("crm.", "telemetry", "prosthesis."))} - set(catalogue())
    assert foreign == set()
    assert "__debezium-heartbeat.telemetry" not in admin_of(pipe).list_topics(timeout=PATIENCE_S).topics


def described(name: str, partitions: int, retention: str = "1000") -> Topic:
    return Topic(
        name=name,
        description="",
        partitions=partitions,
        key="",
        value="",
        config={"retention.ms": retention},
        owner="",
        producers=(),
        consumers=(),
    )


def admin_of(pipe: System) -> AdminClient:
    return AdminClient({**pipe.kafka.client(), "log_level": 0})

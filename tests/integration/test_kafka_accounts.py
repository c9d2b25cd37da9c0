"""Accounts of Kafka have the rights of connectors/accounts.py, and no more: who may write decides what becomes a report."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from connectors import accounts
from schemas.keys import CRM_TOPIC, DEAD_LETTER_TOPIC, LOG_TOPIC
from tests.support.system import System

REFUSED = {KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.CLUSTER_AUTHORIZATION_FAILED}
CHANGELOG = "bionicpro-processor-directory-changelog"
MAY_WRITE = {
    "connect": {LOG_TOPIC, CRM_TOPIC},
    "processor": {LOG_TOPIC, DEAD_LETTER_TOPIC, CHANGELOG},
    "operator": {LOG_TOPIC, CRM_TOPIC, DEAD_LETTER_TOPIC, CHANGELOG},
}


def written(pipe: System, user: str, topic: str) -> bool:
    """Whether *user* may write *topic*: a producer that is refused says so before it sends anything, and an aborted transaction leaves nothing to be read."""
    outcome: list[KafkaError | None] = []
    transactional = f"connect-test-{user}" if user == "connect" else None
    more = {"transactional.id": transactional} if transactional else {}
    producer = Producer({**pipe.kafka.client(user), **more, "log_level": 0, "message.timeout.ms": 20_000})
    if transactional:
        producer.init_transactions(30)
        producer.begin_transaction()
    # Neither key nor value: a tombstone of nobody, which every reader passes over.
    try:
        producer.produce(topic, key=b"", value=None, on_delivery=lambda error, _message: outcome.append(error))
        producer.flush(30)
    except KafkaException as error:  # it knows from the topic's metadata already
        outcome.append(error.args[0])
    if transactional:
        producer.abort_transaction(30)
    assert outcome, "the producer said nothing"
    assert outcome[0] is None or outcome[0].code() in REFUSED, outcome
    return outcome[0] is None


def code_of(attempt: Future[Any]) -> int:
    """With which code Kafka refused it; 0 where it was done."""
    error = attempt.exception(30)
    if error is None:
        return 0
    assert isinstance(error, KafkaException)
    return int(error.args[0].code())


@pytest.mark.parametrize("user", accounts.SERVICES)
def test_an_account_is_refused_every_topic_that_is_not_its_own_to_write(pipe: System, user: str) -> None:
    topics = {LOG_TOPIC, CRM_TOPIC, DEAD_LETTER_TOPIC, CHANGELOG, "connect-configs", "connect-offsets"}
    others = topics - MAY_WRITE[user] - ({"connect-configs", "connect-offsets"} if user == "connect" else set())
    assert {topic for topic in others if written(pipe, user, topic)} == set()


@pytest.mark.parametrize("user", ["connect", "processor"])
def test_a_service_neither_makes_nor_deletes_topics_nor_gives_rights(pipe: System, user: str) -> None:
    admin = AdminClient({**pipe.kafka.client(user), "log_level": 0})
    (right,) = accounts.bindings([(user, "TOPIC", "*", ("WRITE",))])
    attempts: dict[str, Future[Any]] = {
        "create a topic": admin.create_topics([NewTopic("somebodys", 1, 1)])["somebodys"],
        "delete the log": admin.delete_topics([LOG_TOPIC])[LOG_TOPIC],
        "give a right": admin.create_acls([right])[right],
    }
    assert admin.describe_acls(accounts.every_right()).result(30) == [], "librdkafka gives nothing where Kafka refuses"
    assert {what: code_of(attempt) for what, attempt in attempts.items() if code_of(attempt) not in REFUSED} == {}


def test_making_the_accounts_again_changes_nothing(pipe: System) -> None:
    admin = AdminClient({**pipe.kafka.client(), "log_level": 0})
    passwords = {user: pipe.kafka.accounts[user].password for user in accounts.SERVICES}
    assert accounts.ensure(admin, passwords) == (0, 0)


def test_a_right_that_is_not_listed_is_taken_away(pipe: System) -> None:
    admin = AdminClient({**pipe.kafka.client(), "log_level": 0})
    for made in admin.create_acls(accounts.bindings([("processor", "TOPIC", "connect-configs", ("WRITE",))])).values():
        made.result(30)
    passwords = {user: pipe.kafka.accounts[user].password for user in accounts.SERVICES}
    assert accounts.ensure(admin, passwords) == (0, 1)

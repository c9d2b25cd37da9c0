"""After the faults: does everything come to rest, and is every number PostgreSQL's?"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any
from unittest import mock

import psycopg
from clickhouse_driver.errors import Error as ClickHouseError
from confluent_kafka import Consumer, KafkaException, TopicPartition

from cli.broker import Broker
from cli.erase.records import records
from connectors.apply import Connect
from reconciliation.barrier import BarrierError
from reconciliation.mart import MartError, serving_mart
from reconciliation.moment import Moments
from reconciliation.oracle import Oracle
from reconciliation.settings import ReconciliationSettings
from reconciliation.verification import Verification
from reconciliation.verify import verify
from schemas.keys import CRM_TOPIC, DEAD_LETTER_TOPIC, LOG_TOPIC
from schemas.mapping import SourceMapping
from schemas.topics import log_partitions
from service_kit.settings import ConnectSettings, KafkaSettings, load
from tests.chaos.erasures import remains_of_erased
from tests.chaos.workload import Plan

GROUP = "bionicpro-processor"
RECOVERY_LIMIT_S = 240.0
BARRIER_S = 30.0
SETTLED_LIMIT_S = 60.0
ERASED_LIMIT_S = 90.0
LOOK_S = 0.3
PASSING = (BarrierError, MartError, psycopg.Error, KafkaException, ClickHouseError, OSError, EOFError)


class StuckError(Exception):
    """Something did not come to rest in time; the message says what."""


class Judge:
    """*variables*: the operator's."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        with mock.patch.dict(os.environ, variables):
            settings = load(ReconciliationSettings)
        patient = settings.reconciliation.model_copy(update={"barrier_timeout_s": BARRIER_S})
        self.settings = settings.model_copy(update={"reconciliation": patient})
        self._connect = ConnectSettings.model_validate(
            {name: variables[f"BIONICPRO_CONNECT__{name.upper()}"] for name in ("url", "username", "password")}
        )
        self._oracle = Oracle(SourceMapping.read())

    def recovered(self) -> float:
        """Seconds until a barrier raised after the call was handled. Raises StuckError."""
        began = time.monotonic()
        while True:
            try:
                with (
                    serving_mart(self.settings.clickhouse) as mart,
                    Moments(self.settings, self._oracle, mart) as moments,
                    moments.now(),
                ):
                    return time.monotonic() - began
            except PASSING as error:
                if time.monotonic() - began > RECOVERY_LIMIT_S:
                    raise StuckError(f"no barrier was handled within {RECOVERY_LIMIT_S:.0f} s: {error}") from error
                time.sleep(LOOK_S)

    def verification(self, first: date, last: date) -> Verification:
        return verify(self.settings, first, last)

    def settle(self) -> None:
        """Until all that is in the two topics now is committed, and every connector runs. Raises StuckError."""
        broker = Broker(self.settings.kafka)
        wanted = {topic: positions.ends for topic, positions in broker.topics([LOG_TOPIC, CRM_TOPIC]).items()}
        for topic, ends in wanted.items():
            self._until_committed(broker, topic, ends)
        with Connect(self._connect.url, SETTLED_LIMIT_S, self._connect.login) as connect:
            deadline = time.monotonic() + SETTLED_LIMIT_S
            while not all(status.running for status in connect.statuses().values()):
                if time.monotonic() > deadline:
                    raise StuckError(f"connectors: {list(connect.statuses().values())}")
                time.sleep(LOOK_S)

    def erasures(self) -> int:
        """How many there are."""
        with records(self.settings.clickhouse) as found:
            return len(found.erasures())

    def erased(self, gone: Iterable[int]) -> None:
        """Until every erasure has its receipt and nothing of the customers *gone* is left. Raises StuckError."""
        deadline = time.monotonic() + ERASED_LIMIT_S
        while remains := remains_of_erased(self.settings, gone):
            if time.monotonic() > deadline:
                raise StuckError("; ".join(remains))
            time.sleep(LOOK_S)

    def _until_committed(self, broker: Broker, topic: str, ends: Mapping[int, int]) -> None:
        deadline = time.monotonic() + SETTLED_LIMIT_S
        while True:
            committed = broker.committed(GROUP, topic, range(log_partitions() if topic == LOG_TOPIC else 1))
            # A transaction's marker takes an offset of its own: one behind the end is no lag.
            behind = {at: (committed.get(at), end) for at, end in ends.items() if committed.get(at, 0) < end - 1}
            if not behind:
                return
            if time.monotonic() > deadline:
                raise StuckError(f"{topic}: committed and wanted, by partition: {behind}")
            time.sleep(LOOK_S)


@dataclass
class DeadLetters:
    """The dead letters that came since ``DeadLetters`` was made."""

    kafka: KafkaSettings

    def __post_init__(self) -> None:
        self._consumer = Consumer(self.kafka.consumer("bionicpro-chaos-dead-letters") | {"enable.auto.commit": False, "log_level": 0})
        at = TopicPartition(DEAD_LETTER_TOPIC, 0)
        self._begin = self._consumer.get_watermark_offsets(at, timeout=30)[1]

    def close(self) -> None:
        self._consumer.close()

    def unexplained(self, plan: Plan) -> tuple[int, list[str]]:
        """How many there are, and what is wrong with them: letters that the plan does not explain, and refused rows without a letter."""
        values = self._read()
        seen_garbage = {value for value in values if value in plan.garbage}
        events = {value: _event_of(value) for value in values if value not in plan.garbage}
        strange = [repr(value[:300]) for value, event in events.items() if event not in plan.broken]
        problems = [f"dead letter not explained: {text}" for text in strange[:5]]
        missing = sorted(plan.broken - {event for event in events.values() if event is not None})
        if missing:
            problems.append(f"invalid rows without a dead letter: {missing[:5]} ({len(missing)})")
        if plan.garbage - seen_garbage:
            problems.append(f"garbage without a dead letter: {len(plan.garbage - seen_garbage)}")
        return len(values), problems

    def _read(self) -> list[bytes]:
        at = TopicPartition(DEAD_LETTER_TOPIC, 0)
        end = self._consumer.get_watermark_offsets(at, timeout=30, cached=False)[1]
        self._consumer.assign([TopicPartition(DEAD_LETTER_TOPIC, 0, self._begin)])
        values: list[bytes] = []
        deadline = time.monotonic() + SETTLED_LIMIT_S
        while self._consumer.position([at])[0].offset < end and self._begin < end:
            for message in self._consumer.consume(1000, 0.2):
                if message.error() is not None:
                    raise KafkaException(message.error())
                values.append(message.value() or b"")
            if time.monotonic() > deadline:
                raise StuckError("the dead letters cannot be read")
        return values


def _event_of(value: bytes) -> int | None:
    try:
        row: dict[str, Any] = json.loads(value)["after"]
        return int(row["event_id"])
    except (ValueError, KeyError, TypeError):
        return None

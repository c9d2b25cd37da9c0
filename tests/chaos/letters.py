"""The dead letters of a schedule, and whether each is explained by what was put in."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from schemas.keys import DEAD_LETTER_TOPIC
from service_kit.settings import KafkaSettings
from stream_processor.adapters.dead_letters import PREFIX
from tests.chaos.drifts import Drift
from tests.chaos.judge import SETTLED_LIMIT_S, StuckError
from tests.chaos.workload import Plan


@dataclass(frozen=True)
class Letter:
    """*whole*: the SHA-256 of the record's value, of which the letter may hold the beginning only."""

    value: bytes
    reason: str
    whole: str

    @property
    def ids(self) -> set[tuple[str, int]]:
        """Which rows of the sources it is about: (column of the id, id)."""
        try:
            record: dict[str, Any] = json.loads(self.value)
            rows = [row for row in (record.get("after"), record.get("before")) if row]
            return {(name, int(row[name])) for row in rows for name in ("event_id", "prosthesis_id") if row.get(name) is not None}
        except (ValueError, KeyError, TypeError, AttributeError):
            return set()

    def is_without(self, column: str) -> bool:
        """Whether it is of a row that is refused although its telemetry is there but for the value of *column*."""
        try:
            row = json.loads(self.value).get("after") or {}
        except (ValueError, AttributeError):
            return False
        return bool(column) and self.reason == "invalid-row" and column in row and row[column] is None

    def earlier(self, plan: Plan) -> bool:
        """Whether it is of an event or a prosthesis of an earlier schedule, whose row came again: its own schedule had it explained."""
        first = {"event_id": plan.first_event, "prosthesis_id": plan.prostheses[0]}
        return any(abs(number) < first[name] for name, number in self.ids)


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

    def unexplained(self, plan: Plan, drift: Drift | None, hidden: Collection[int], *, lost: bool = False) -> tuple[int, list[str]]:
        """How many there are, and what is wrong with them: letters that neither the plan nor the drift explains, and refused rows without a letter.

        *hidden*: events whose rows did not arrive while the source had drifted; a repair asks for no row that counts in no report. *lost*: so may any record have been.
        """
        letters = self._read()
        garbage = {hashlib.sha256(value).hexdigest() for value in plan.garbage}
        known = {("event_id", event) for event in plan.broken} | {("prosthesis_id", nobody) for nobody in plan.nobodies}
        told = {number for letter in letters for name, number in letter.ids if name == "event_id"}
        strange = [
            letter
            for letter in letters
            if letter.whole not in garbage
            and not (drift and (letter.reason in drift.reasons or letter.is_without(drift.nulls)))
            and not letter.ids & known
            and not letter.earlier(plan)
        ]
        problems = [f"dead letter not explained: {letter.reason}: {letter.value[:300]!r}" for letter in strange[:5]]
        if lost:
            return len(letters), problems
        missing = sorted(plan.broken - told - set(hidden))
        if missing:
            problems.append(f"invalid rows without a dead letter: {missing[:5]} ({len(missing)})")
        if silent := garbage - {letter.whole for letter in letters}:
            problems.append(f"garbage without a dead letter: {len(silent)}")
        return len(letters), problems

    def _read(self) -> list[Letter]:
        at = TopicPartition(DEAD_LETTER_TOPIC, 0)
        end = self._consumer.get_watermark_offsets(at, timeout=30, cached=False)[1]
        self._consumer.assign([TopicPartition(DEAD_LETTER_TOPIC, 0, self._begin)])
        letters: list[Letter] = []
        deadline = time.monotonic() + SETTLED_LIMIT_S
        while self._consumer.position([at])[0].offset < end and self._begin < end:
            for message in self._consumer.consume(1000, 0.2):
                if message.error() is not None:
                    raise KafkaException(message.error())
                letters.append(_letter(message))
            if time.monotonic() > deadline:
                raise StuckError("the dead letters cannot be read")
        return letters


def _letter(message: Message) -> Letter:
    headers: dict[str, str] = {name: value.decode() for name, value in _headers(message) if value is not None and name.startswith(PREFIX)}
    value = message.value() or b""
    whole = headers.get(f"{PREFIX}sha256") or hashlib.sha256(value).hexdigest()
    return Letter(value, headers.get(f"{PREFIX}reason", ""), whole)


def _headers(message: Message) -> list[tuple[str, bytes | None]]:
    headers: Any = message.headers()
    return list(headers or ())

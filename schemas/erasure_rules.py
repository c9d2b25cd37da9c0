"""Erasure rules as ClickHouse holds them for good: the one type that processor, eraser and comparison share, and its form as a row of ``erasure_rules``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from schemas.commands import Erase

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
COLUMNS = (
    "prosthesis_id", "erasure_id", "subject", "former_subjects", "from_us", "to_us", "issued_at", "parts", "customer_gone", "reason", "topic_id",
    "log_partition", "log_offset",
)  # fmt: skip


class ErasureRule(msgspec.Struct, frozen=True):
    """Nothing of the prosthesis's *intervals* (microseconds since the epoch, half-open) comes in or is read any more.

    *subject* and *former_subjects* name the person, see ``schemas.erasure``. *offset*: of the command in *partition* of the log *topic_id*; what is older
    was made without the rule. The erasure has *parts* rules in all, one a prosthesis. *issued_us*: microseconds since the epoch.
    """

    prosthesis_id: str
    erasure_id: str
    subject: str
    intervals: tuple[tuple[int, int], ...]
    issued_us: int
    parts: int
    customer_gone: bool
    reason: str
    topic_id: str
    partition: int
    offset: int
    former_subjects: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        """The key of the row: of one key the row with the highest offset counts."""
        return self.prosthesis_id, self.erasure_id

    @property
    def issued_at(self) -> datetime:
        return EPOCH + timedelta(microseconds=self.issued_us)


def rule_of(command: Erase, topic_id: str, partition: int, offset: int) -> ErasureRule:
    """The rule that *command*, at its place in the log, puts in force."""
    return ErasureRule(
        prosthesis_id=command.prosthesis_id,
        erasure_id=command.command_id,
        subject=command.subject,
        intervals=command.intervals,
        issued_us=command.issued_us,
        parts=command.parts,
        customer_gone=command.customer_gone,
        reason=command.reason,
        topic_id=topic_id,
        partition=partition,
        offset=offset,
        former_subjects=command.former_subjects,
    )


def united(known: ErasureRule, rule: ErasureRule) -> ErasureRule:
    """*rule* with all times and users of *known*, which is of the same erasure: what was erased once stays erased."""
    users = {known.subject, *known.former_subjects}
    if set(known.intervals) <= set(rule.intervals) and users <= {rule.subject, *rule.former_subjects}:
        return rule
    times: list[tuple[int, int]] = []
    for begin, end in sorted({*known.intervals, *rule.intervals}):
        if times and begin <= times[-1][1]:
            times[-1] = (times[-1][0], max(times[-1][1], end))
        else:
            times.append((begin, end))
    former = (users | set(rule.former_subjects)) - {rule.subject}
    return msgspec.structs.replace(rule, intervals=tuple(times), former_subjects=tuple(sorted(former)))


def select_rules(table: str) -> str:
    """The query whose rows ``from_row`` reads; *table* is our own identifier."""
    return f"SELECT {', '.join(COLUMNS)} FROM {table} FINAL ORDER BY issued_at, prosthesis_id, erasure_id"  # noqa: S608 - our own identifiers


def to_row(rule: ErasureRule) -> tuple[Any, ...]:
    """The values of ``COLUMNS``."""
    begins, ends = [begin for begin, _ in rule.intervals], [end for _, end in rule.intervals]
    return (
        rule.prosthesis_id, rule.erasure_id, rule.subject, list(rule.former_subjects), begins, ends, rule.issued_at, rule.parts,
        int(rule.customer_gone), rule.reason, rule.topic_id, rule.partition, rule.offset,
    )  # fmt: skip


def from_row(row: Sequence[Any]) -> ErasureRule:
    """A row of ``select_rules``. The driver gives times with or without their zone, which is UTC."""
    prosthesis_id, erasure_id, subject, former, begins, ends, issued_at, parts, gone, reason, topic_id, partition, offset = row
    issued_us = (issued_at.replace(tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)
    intervals = tuple(zip(begins, ends, strict=True))
    return ErasureRule(
        prosthesis_id, erasure_id, subject, intervals, issued_us, parts, bool(gone), reason, topic_id, partition, offset, tuple(former)
    )

"""Erasure rules as the comparison honours them: telemetry of an erased time is expected nowhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from clickhouse_driver import Client

from schemas.erasure_rules import from_row, select_rules


class Erased(NamedTuple):
    """An erased time of one prosthesis: microseconds since the epoch, half-open."""

    prosthesis_id: str
    from_us: int
    to_us: int


def read_erased(client: Client, shared: str) -> tuple[Erased, ...]:
    """All rules of the database *shared*. Raises clickhouse_driver's errors."""
    rules = map(from_row, client.execute(select_rules(f"{shared}.erasure_rules")))
    return tuple(Erased(rule.prosthesis_id, begin, end) for rule in rules for begin, end in rule.intervals)


def is_erased(erased: Sequence[Erased], prosthesis_id: str, instant_us: int) -> bool:
    return any(rule.prosthesis_id == prosthesis_id and rule.from_us <= instant_us < rule.to_us for rule in erased)

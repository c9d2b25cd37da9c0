"""Erasure rules as the comparison honours them: telemetry of an erased time is expected nowhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from clickhouse_driver import Client


class Erased(NamedTuple):
    """An erased time of one prosthesis: microseconds since the epoch, half-open."""

    prosthesis_id: str
    from_us: int
    to_us: int


def read_erased(client: Client, shared: str) -> tuple[Erased, ...]:
    """All rules of the database *shared*. Raises clickhouse_driver's errors."""
    query = f"SELECT prosthesis_id, bounds.1, bounds.2 FROM {shared}.erasure_rules FINAL ARRAY JOIN arrayZip(from_us, to_us) AS bounds"  # noqa: S608 - our own identifier
    return tuple(Erased(*row) for row in client.execute(query))


def is_erased(erased: Sequence[Erased], prosthesis_id: str, instant_us: int) -> bool:
    return any(rule.prosthesis_id == prosthesis_id and rule.from_us <= instant_us < rule.to_us for rule in erased)

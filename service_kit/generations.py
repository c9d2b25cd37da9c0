"""Reads ``generations``: which tables there are, and which of them readers see. The one query of that table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from clickhouse_driver import Client

from schemas.generations import SERVING, begins_of


@dataclass(frozen=True, slots=True)
class Generation:
    """*state*: building, serving, retired or dropped; *detail*: what its builder noted."""

    number: int
    state: str
    detail: str


def read_generations(client: Client, shared: str = "") -> list[Generation]:
    """Every generation there ever was, in order. *shared*: the database that readers see, where it is not *client*'s own. Raises clickhouse_driver's errors."""
    table = f"{shared}.generations" if shared else "generations"
    query = f"SELECT generation, state, detail FROM {table} FINAL ORDER BY generation"  # noqa: S608 - our own identifier
    return [Generation(*row) for row in client.execute(query)]


def serving(found: Iterable[Generation]) -> int | None:
    """The number of the one that readers see; None where there is none yet."""
    return max((one.number for one in found if one.state == SERVING), default=None)


def begins(found: Iterable[Generation], number: int | None) -> dict[int, int]:
    """Where in the log the tables of generation *number* begin, by partition: see ``begins_of``; empty where there is none."""
    return begins_of(next((one.detail for one in found if one.number == number), ""))

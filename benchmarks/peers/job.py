"""What every Python peer shares, so that they differ in their engine alone: the plan, the join and fold of one event, the mart's writer.

A peer joins the event with its static owner, folds it into its report's state, and writes the mart; it does neither raw nor duplicate checks,
so it does less than the project. Standard library and clickhouse-driver only.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from clickhouse_driver import Client

NONE = 1 << 40
EMPTY = (0, 0, 0, 0, 0, NONE, 0, NONE, 0, 0)  # the metrics of benchmarks/expected.py, before the first event
EPOCH = date(1970, 1, 1)

Key = tuple[str, int, str]  # user, local day since 1970-01-01, prosthesis


@dataclass(frozen=True)
class Plan:
    """``kafka``: a librdkafka configuration; ``owners``: user and offset from UTC in seconds by prosthesis; ``events``: stop after so many; ``records``: all that the topic holds."""

    kafka: dict[str, Any]
    topic: str
    group: str
    records: int
    events: int
    owners: dict[int, tuple[str, timedelta]]
    clickhouse: dict[str, Any]
    table: str
    folder: str


def read_plan() -> Plan:
    """From the file that the program's first argument names, which is taken off: the rest is the engine's."""
    document = json.loads(Path(sys.argv.pop(1)).read_text(encoding="utf-8"))
    owners = {int(one): (user, timedelta(seconds=offset)) for one, (user, offset) in document.pop("owners").items()}
    return Plan(owners=owners, **document)


def say(**what: object) -> None:
    """One JSON line for the benchmark that started us; past ``sys.stdout``, which engines replace."""
    os.write(1, (json.dumps(what) + "\n").encode())


def ready() -> None:
    """Say that start-up is over: what was spent so far is counted apart."""
    say(startup_cpu_s=time.process_time(), ready_at=time.monotonic())


def done(**what: object) -> None:
    """Say that all is handled and written, and *what* was."""
    say(done_at=time.monotonic(), **what)


def key_of(plan: Plan, after: dict[str, Any]) -> Key:
    """The join: whose event it is, and on which local day."""
    user, offset = plan.owners[after["prosthesis_id"]]
    local = datetime.fromisoformat(after["recorded_at"]) + offset
    return user, local.date().toordinal() - EPOCH.toordinal(), str(after["prosthesis_id"])


def folded(state: Sequence[int], after: dict[str, Any]) -> list[int]:
    """*state* and one event."""
    events, usage, signals, recognised, total, least, most, low, high, errors = state
    kind = after["kind"]
    if kind == "signal":
        amplitude = after["amplitude_uv"]
        usage, signals, recognised = usage + after["active_ms"], signals + 1, recognised + after["movement_recognised"]
        total, least, most = total + amplitude, min(least, amplitude), max(most, amplitude)
    elif kind == "battery":
        battery = after["battery_percent"] * 100
        low, high = min(low, battery), max(high, battery)
    elif kind == "error":
        errors += 1
    return [events + 1, usage, signals, recognised, total, least, most, low, high, errors]


class Mart:
    """Writes states to the peer's table, of which the highest ``event_count`` of a key counts."""

    def __init__(self, plan: Plan) -> None:
        self._client = Client(**plan.clickhouse)
        self._insert = f"INSERT INTO {plan.table} VALUES"

    def write(self, states: Iterable[tuple[Key, Sequence[int]]]) -> None:
        rows = [
            (user, EPOCH + timedelta(days=day), prosthesis, *(0 if value == NONE else value for value in state))
            for (user, day, prosthesis), state in states
        ]
        if rows:
            self._client.execute(self._insert, rows)

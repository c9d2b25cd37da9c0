"""Faust as its guide shows it: a ``Record`` model, one event at a time, a table write each; a timer writes the changed reports to the mart."""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

import faust

from benchmarks.peers.job import EMPTY, Key, Mart, done, folded, key_of, read_plan, ready

WRITE_EVERY_S = 1.0
PARTITIONS = 24

plan = read_plan()
mart = Mart(plan)
app = faust.App(
    plan.group,
    broker=f"kafka://{plan.kafka['bootstrap.servers']}",
    broker_credentials=faust.SASLCredentials(
        username=plan.kafka["sasl.username"], password=plan.kafka["sasl.password"], mechanism=plan.kafka["sasl.mechanisms"]
    ),
    store="memory://",
    datadir=plan.folder,
    topic_partitions=PARTITIONS,
    consumer_auto_offset_reset="earliest",
    web_enabled=False,
    logging_config=None,
)


class Change(faust.Record, serializer="json", validation=False):
    """Debezium's envelope; the project's own records in the topic have no ``op``."""

    op: str | None = None
    after: dict[str, Any] | None = None


changes = app.topic(plan.topic, value_type=Change)
reports = app.Table("reports", default=lambda: list(EMPTY), partitions=PARTITIONS)
changed: set[Key] = set()
handled: Counter[int] = Counter()


@app.agent(changes)
async def fold(stream: Any) -> None:
    async for event in stream.events():
        after = event.value.after
        if event.value.op is None or after is None:
            continue
        key = key_of(plan, after)
        reports[key] = folded(reports[key], after)
        changed.add(key)
        handled[event.message.partition] += 1
        if sum(handled.values()) >= plan.events:
            write()
            done(handled=handled)
            os._exit(0)


@app.timer(interval=WRITE_EVERY_S)
async def write_changed() -> None:
    write()


def write() -> None:
    mart.write([(key, reports[key]) for key in changed])
    changed.clear()


@app.task
async def started() -> None:
    ready()


if __name__ == "__main__":
    app.main()

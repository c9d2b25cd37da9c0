"""Quix Streams: a stateful dataframe (RocksDB, changelog topic), a batching sink that writes the mart at each checkpoint."""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

from quixstreams import Application, State
from quixstreams.kafka import ConnectionConfig
from quixstreams.sinks.base import BatchingSink, SinkBatch

from benchmarks.peers.job import EMPTY, Mart, done, folded, key_of, read_plan, ready

plan = read_plan()
mart = Mart(plan)
handled: Counter[int] = Counter()


class MartSink(BatchingSink):
    """The last state of each report in the batch; ends the program once all events are in the mart."""

    def write(self, batch: SinkBatch) -> None:
        latest = {tuple(item.value[0]): item.value[1] for item in batch}
        mart.write(latest.items())
        handled[batch.partition] += batch.size

    def flush(self) -> None:
        super().flush()
        if sum(handled.values()) >= plan.events:
            done(handled=handled)
            os._exit(0)


def fold(value: dict[str, Any], state: State) -> tuple[Any, list[int]]:
    key = key_of(plan, value["after"])
    name = f"{key[0]}|{key[1]}"
    report = folded(state.get(name) or EMPTY, value["after"])
    state.set(name, report)
    return key, report


def main() -> None:
    app = Application(
        broker_address=ConnectionConfig.from_librdkafka_dict(plan.kafka),
        consumer_group=plan.group,
        auto_offset_reset="earliest",
        state_dir=plan.folder,
        loglevel="WARNING",
        consumer_extra_config={"isolation.level": "read_committed"},
    )
    rows = app.dataframe(app.topic(plan.topic, value_deserializer="json"))
    rows = rows[rows.apply(lambda value: value.get("op") is not None)]
    rows.apply(fold, stateful=True).sink(MartSink())
    ready()
    app.run()


if __name__ == "__main__":
    main()

"""Bytewax: KafkaSource, orjson, ``stateful_map`` by report, a sink that writes each batch's last states to the mart. One worker."""

from __future__ import annotations

from typing import Any

import bytewax.operators as op
import orjson
from bytewax.connectors.kafka import KafkaSource, KafkaSourceMessage
from bytewax.dataflow import Dataflow
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.testing import cluster_main

from benchmarks.peers.job import EMPTY, Key, Mart, done, folded, key_of, read_plan, ready

BATCH = 10_000

plan = read_plan()


class MartPartition(StatelessSinkPartition[tuple[str, tuple[Key, list[int]]]]):
    def __init__(self) -> None:
        self._mart = Mart(plan)

    def write_batch(self, items: list[tuple[str, tuple[Key, list[int]]]]) -> None:
        self._mart.write({key: state for _, (key, state) in items}.items())


class MartSink(DynamicSink[tuple[str, tuple[Key, list[int]]]]):
    def build(self, step_id: str, worker_index: int, worker_count: int) -> MartPartition:  # noqa: ARG002  the sink's interface
        return MartPartition()


def decode(message: KafkaSourceMessage[Any, Any]) -> tuple[str, tuple[Key, dict[str, Any]]] | None:
    """The event and its report; None for what is no change."""
    value = orjson.loads(message.value)
    if value.get("op") is None:
        return None
    after = value["after"]
    key = key_of(plan, after)
    return f"{key[0]}|{key[1]}", (key, after)


def fold(state: list[int] | None, event: tuple[Key, dict[str, Any]]) -> tuple[list[int], tuple[Key, list[int]]]:
    report = folded(state or EMPTY, event[1])
    return report, (event[0], report)


def flow() -> Dataflow:
    log = Dataflow("reports")
    config = {**plan.kafka, "isolation.level": "read_committed"}
    brokers = config.pop("bootstrap.servers")
    source: Any = KafkaSource([brokers], [plan.topic], tail=False, batch_size=BATCH, add_config=config)
    keyed = op.filter_map("decode", op.input("log", log, source), decode)
    op.output("mart", op.stateful_map("fold", keyed, fold), MartSink())
    return log


if __name__ == "__main__":
    ready()
    cluster_main(flow(), [], 0)
    done(handled=None)

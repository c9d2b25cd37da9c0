"""Notices that the broker has not any more what is to be read next.

aiokafka goes on where the log begins then, and says so in its own log alone; Kafka's Java client can be told to refuse instead, for all topics of a consumer (``auto.offset.reset``).
Here only those topics count whose positions are the processor's own: what was not read is missing in reports, and nothing later would tell.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from aiokafka import TopicPartition

Lost = Callable[[str, int], None]
"""Is told the topic and the partition."""


def install(consumer: Any, topics: Collection[str], lost: Lost) -> None:
    """Have *lost* called, on the consumer's loop, before *consumer*, which was started just now, goes on behind records of *topics* that it has not read.

    It reads *at* a position only where it has one. One that it has given up when the answer was read was out of the broker's range.
    """
    fetcher = consumer._fetcher
    process = fetcher._proc_fetch_request

    async def processed(assignment: Any, node_id: Any, request: Any) -> Any:
        asked = [TopicPartition(topic, partition) for topic, parts in request.topics if topic in topics for partition, *_ in parts]
        wanted = await process(assignment, node_id, request)
        for tp in asked if assignment.active else ():
            if assignment.state_value(tp).awaiting_reset:
                lost(tp.topic, tp.partition)
        return wanted

    fetcher._proc_fetch_request = processed

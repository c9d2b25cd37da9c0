"""What aiokafka makes of a fetched record of the log.

Its ``ConsumerRecord`` is a frozen dataclass of eleven fields; making one costs as much as all the rest of fetching a record. The log's records are made as plain tuples
of the five fields that are used; those of every other topic stay what they are.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from aiokafka.consumer import fetcher

from stream_processor.domain.log_records import LogRecord

_make = partial(tuple.__new__, LogRecord)


class LogPartitionRecords(fetcher.PartitionRecords):  # type: ignore[misc]
    """aiokafka's iterator over a fetched partition; transactions, control batches and positions stay its own."""

    batched_topic: str

    def _consumer_record(self, tp: Any, record: Any) -> Any:
        if tp.topic != self.batched_topic:
            return super()._consumer_record(tp, record)
        return _make((tp.partition, record.offset, record.key, record.value, record.headers))


def install(batched_topic: str) -> None:
    """Have aiokafka use it in this process. The class is named nowhere but in the fetcher's module; tests/integration checks that it took."""
    LogPartitionRecords.batched_topic = batched_topic
    fetcher.PartitionRecords = LogPartitionRecords

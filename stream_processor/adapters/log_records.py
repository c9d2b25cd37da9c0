"""What aiokafka makes of a fetched record of the log.

Its ``ConsumerRecord`` is a frozen dataclass of eleven fields; making one costs as much as all the rest of fetching a record. The log's records are made as plain tuples
of the five fields that are used; those of every other topic, and of every other consumer of the process, stay what they are.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import partial
from typing import Any

from aiokafka.consumer.fetcher import FetchResult

from stream_processor.domain.log_records import LogRecord

_make = partial(tuple.__new__, LogRecord)


def _log_record(tp: Any, record: Any) -> Any:
    return _make((tp.partition, record.offset, record.key, record.value, record.headers))


class FetchResults(OrderedDict[Any, Any]):
    """What one consumer has fetched, by partition: each of *topic*'s makes its records by ``_log_record``. Transactions, control batches and positions stay aiokafka's."""

    def __init__(self, topic: str) -> None:
        super().__init__()
        self._topic = topic

    def __setitem__(self, tp: Any, result: Any) -> None:
        # An error may be kept instead, which has no records.
        if tp.topic == self._topic and isinstance(result, FetchResult):
            result._partition_records._consumer_record = _log_record  # of this fetch alone
        super().__setitem__(tp, result)


def install(consumer: Any, topic: str) -> None:
    """Have *consumer*, which was started just now, make *topic*'s records so. tests/integration checks that it took."""
    consumer._fetcher._records = FetchResults(topic)

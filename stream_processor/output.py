"""What the processor writes to Kafka beside commits: records of its own to the log, and dead letters."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any

import faust
import structlog

from schemas.keys import DEAD_LETTER_TOPIC, LOG_TOPIC, partition_of
from stream_processor import metrics
from stream_processor.adapters.acknowledged_table import AcknowledgedTable
from stream_processor.adapters.dead_letters import letter_of
from stream_processor.domain.log_records import DeadLetter

log = structlog.get_logger()

SEND_DEADLINE_S = 30.0
"""Until the broker has acknowledged. Beyond it TimeoutError is raised."""


class Output:
    """*partitions*: of the log; *table*: the directory's. Everything may be sent again. Raises what Faust's producer raises."""

    def __init__(self, app: faust.App, partitions: int, table: AcknowledgedTable) -> None:
        self._log = app.topic(LOG_TOPIC, key_serializer="raw", value_serializer="raw")
        self._dead = app.topic(DEAD_LETTER_TOPIC, key_serializer="raw", value_serializer="raw")
        self._partitions = partitions
        self._table = table

    def table_written(self) -> Awaitable[object]:
        """Done when the broker has acknowledged what the table was told since the last call."""
        return self._table.written()

    async def send_down(self, records: Sequence[tuple[str, bytes]]) -> Awaitable[object]:
        """Append (prosthesis id, value) pairs to the log, each under its prosthesis's key, in the order of the calls; what is returned is done when the broker has acknowledged."""
        pending: list[Any] = []
        for prosthesis_id, value in records:
            key = prosthesis_id.encode()
            pending.append(await self._log.send(key=key, value=value, partition=partition_of(key, self._partitions)))
        return asyncio.gather(*pending)

    async def send_dead_letters(self, dead: Sequence[DeadLetter], topic: str = LOG_TOPIC) -> None:
        """Returns when the broker has acknowledged. *topic*: where the records come from."""
        pending: list[Any] = []
        for item in dead:
            log.warning("dead letter", topic=topic, partition=item.record.partition, offset=item.record.offset, reason=item.reason)
            metrics.DEAD_LETTERS.labels(item.reason).inc()
            letter = letter_of(item, topic)
            pending.append(await self._dead.send(key=letter.key, value=letter.value, headers=letter.headers))
        await asyncio.wait_for(asyncio.gather(*pending), SEND_DEADLINE_S)

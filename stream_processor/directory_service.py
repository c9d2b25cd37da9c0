"""The directory's service: decides on the records of ``crm.changes`` one by one, and sends down the log what each leads to.

What a record tells the table is in the changelog before anything that it leads to is sent, as in a write-ahead log: whoever takes over knows at least what
the log was told. A record is handled when Kafka has acknowledged all of it; the next ones are decided meanwhile, or a first copy of a CRM would wait for two
round trips a row. Handling one again sends the same again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from schemas import limits
from schemas.commands import encode_command
from schemas.erasure import ErasureRequest
from schemas.keys import CRM_TOPIC
from schemas.ownership import encode as encode_document
from schemas.partition_progress import PartitionProgress
from stream_processor.adapters.compacted_topic import KeptRecord
from stream_processor.adapters.dead_letters import DeadLetterLimit
from stream_processor.adapters.topics import TopicIdentity
from stream_processor.domain.crm import CrmEnvelope, decode_crm
from stream_processor.domain.directory import Directory, Handled
from stream_processor.domain.directory_table import DirectoryTable
from stream_processor.domain.log_records import DeadLetter
from stream_processor.output import SEND_DEADLINE_S
from stream_processor.poison import POISON_PER_MINUTE
from stream_processor.ports import StoreUnavailable

log = structlog.get_logger()

PROGRESS_EVERY_S = 0.2
KEY_CHANGED = "__debezium.newkey"


class Sends(Protocol):
    """Where records go: dead letters are there for good when that returns, records of the log, and what the table was told, when what is returned is done."""

    def table_written(self) -> Awaitable[object]: ...
    async def send_down(self, records: Sequence[tuple[str, bytes]]) -> Awaitable[object]: ...
    async def send_dead_letters(self, dead: Sequence[DeadLetter], topic: str) -> None: ...


@dataclass(frozen=True, slots=True)
class CrmRecord:
    """A record of ``crm.changes``."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]
    timestamp_ms: int

    @classmethod
    def of(cls, message: Any) -> CrmRecord:
        """From Faust's message."""
        headers = message.headers.items() if isinstance(message.headers, dict) else message.headers or ()
        return cls(message.partition, message.offset, message.key, message.value, list(headers), int(message.timestamp * 1000))


@dataclass(frozen=True, slots=True)
class Decided:
    """A record that was decided on: *down* is to be sent once the table's changes are *written*, and *progress* is true once that is acknowledged."""

    written: Awaitable[object]
    down: Sequence[tuple[str, bytes]]
    progress: PartitionProgress


@dataclass(frozen=True, slots=True)
class Sent:
    """A record whose consequences were sent: when they are *acknowledged*, *progress* is true."""

    acknowledged: Awaitable[object]
    progress: PartitionProgress


class DirectoryService:
    """A record goes through ``decide``, ``send`` and ``handled``, each in the order of the records.

    *records_before*: the records of the topic before an offset; *write_progress* blocks and raises what the store raises.
    """

    def __init__(
        self,
        directory: Directory,
        topic: TopicIdentity,
        sends: Sends,
        records_before: Callable[[int], Iterable[KeptRecord]],
        write_progress: Callable[[Sequence[PartitionProgress]], None],
    ) -> None:
        self._directory = directory
        self._topic = topic
        self._sends = sends
        self._records_before = records_before
        self._write_progress = write_progress
        self._as_of_ms = 0
        self._handled: PartitionProgress | None = None
        self._poison_limit = DeadLetterLimit(POISON_PER_MINUTE)

    async def restore(self, offset: int) -> None:
        """Make the directory what the CRM's changes before *offset* make it. Needed at each assignment."""
        self._directory.restore(await asyncio.to_thread(self._table_before, offset))

    def _table_before(self, offset: int) -> DirectoryTable:
        return self._directory.table_after(self._changes(self._records_before(offset)))

    async def decide(self, record: CrmRecord) -> Decided:
        """Take *record* in, and say what it leads to. What cannot be used becomes a dead letter."""
        down: list[tuple[str, bytes]] = []
        try:
            change = self._change(record)
        except ValueError as error:
            await self._refuse(record, "not-an-envelope", str(error))
        else:
            if record.value is not None and isinstance(change, CrmEnvelope):
                self._as_of_ms = max(self._as_of_ms, change.source.ts_ms)
            if change is not None:
                down = await self._carry_out(change, record)
        progress = PartitionProgress(CRM_TOPIC, 0, self._topic.topic_id, self._topic.partitions, record.offset, self._as_of_ms)
        return Decided(self._sends.table_written(), down, progress)

    def _change(self, record: CrmRecord | KeptRecord) -> CrmEnvelope | ErasureRequest | None:
        """What *record* tells: a tombstone that its row is gone, which compaction makes of the delete before it. Raises msgspec.DecodeError."""
        if record.value is None:
            return self._directory.end_of(record.key, record.timestamp_ms)
        return decode_crm(record.value)

    def _changes(self, records: Iterable[KeptRecord]) -> Iterator[CrmEnvelope]:
        """Those of *records* that are changes; what is none became a dead letter when it was handled."""
        for record in records:
            try:
                change = self._change(record)
            except ValueError:
                continue
            if isinstance(change, CrmEnvelope):
                yield change

    async def send(self, decided: Decided) -> Sent:
        """Send what the record leads to, once the table's changes are in Kafka. Raises what the producer raises, and TimeoutError."""
        await asyncio.wait_for(decided.written, SEND_DEADLINE_S)
        return Sent(await self._sends.send_down(decided.down) if decided.down else asyncio.gather(), decided.progress)

    async def handled(self, sent: Sent) -> None:
        """Returns when Kafka has acknowledged everything. Raises what the producer raises, and TimeoutError."""
        await asyncio.wait_for(sent.acknowledged, SEND_DEADLINE_S)
        self._handled = sent.progress

    async def _carry_out(self, change: CrmEnvelope | ErasureRequest, record: CrmRecord) -> list[tuple[str, bytes]]:
        """What is to be sent down the log. A change that the directory fails at is poison: it becomes a dead letter, and the directory is made anew without it."""
        try:
            handled = self._direct(change, record)
            down = [*_documents(handled), *_erasures(handled)]
        except Exception as error:
            log.error("poison: a change of the CRM cannot be handled", offset=record.offset, error=type(error).__name__)  # noqa: TRY400
            self._poison_limit.count(1, time.monotonic())
            await self._refuse(record, "poison", f"{type(error).__name__}: {error}")
            await self.restore(record.offset)
            return []
        if handled.error:
            await self._refuse(record, handled.reason, handled.error)
        for identity, parts in {(erase.command_id, erase.parts) for erase in handled.erasures}:
            log.info("erasure", erasure_id=identity, prostheses=parts)
        for prosthesis_id, value in down:
            if len(value) > limits.OWN_RECORD:
                await self._refuse_too_large(record, prosthesis_id, len(value))
        return [one for one in down if len(one[1]) <= limits.OWN_RECORD]

    async def _refuse_too_large(self, record: CrmRecord, prosthesis_id: str, size: int) -> None:
        said = f"what it says of prosthesis {prosthesis_id} has {size} bytes, {limits.OWN_RECORD} are allowed: its reports stay as they are"
        log.error("a record of the directory is too large", offset=record.offset, bytes=size, allowed=limits.OWN_RECORD)
        await self._refuse(record, "ownership-too-large", said)

    async def _refuse(self, record: CrmRecord, reason: str, error: str) -> None:
        await self._sends.send_dead_letters([DeadLetter(record, reason, error)], CRM_TOPIC)

    def _direct(self, change: CrmEnvelope | ErasureRequest, record: CrmRecord) -> Handled:
        if isinstance(change, ErasureRequest):
            return self._directory.request(change, record.offset)
        headers = dict(record.headers)
        return self._directory.handle(change, record.offset, key_changed=KEY_CHANGED in headers, new_key=headers.get(KEY_CHANGED))

    async def write_progress(self) -> None:
        """Write how far the directory is, a few times a second at most, until cancelled. While the store is away it waits: the reports' own writes decide when to stop."""
        written: PartitionProgress | None = None
        while True:
            await asyncio.sleep(PROGRESS_EVERY_S)
            latest = self._handled
            if latest is not None and latest is not written:
                try:
                    await asyncio.to_thread(self._write_progress, [latest])
                    written = latest
                except StoreUnavailable as error:
                    log.warning("store is away, the directory's progress waits", error=str(error))


def _documents(handled: Handled) -> list[tuple[str, bytes]]:
    return [(document.prosthesis_id, encode_document(document)) for document in handled.documents]


def _erasures(handled: Handled) -> list[tuple[str, bytes]]:
    """After the documents, which no longer name the customer."""
    return [(erase.prosthesis_id, encode_command(erase)) for erase in handled.erasures]

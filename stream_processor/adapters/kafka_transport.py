"""Faust's aiokafka driver with two differences: one topic is delivered a partition's fetched records at a time, and everything is read committed.

Faust's cost is per message, not per byte, so handing over the records of a fetch as one message is what makes it fast. All other topics (the CRM's
changes, changelogs, table recovery) keep one message a record. Group membership, assignment, tables and commits stay Faust's.

Commit positions of the topics that agents read are kept by ``Positions``. Faust's own bookkeeping closes the offset gap in front of a message *when it is read*, gap end included, so
a commit could run past work that is not done; it would list every offset of the gap; and where every record stands in a transaction of its own, it commits one run of neighbours at a time.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from typing import Any, ClassVar, cast

import aiokafka
import faust
import faust.auth
import structlog
from aiokafka.errors import IllegalStateError
from faust.tables.manager import TableManager
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage, Message

from service_kit.settings import KafkaSettings
from stream_processor.adapters import commits, expired, log_records
from stream_processor.adapters.positions import Positions
from stream_processor.domain.log_records import LogRecord

FETCH_MAX_WAIT_MS = 100
LONGEST_WAIT_S = 0.1  # for records: a seek has to wait as long
FETCH_MAX_BYTES = 4 << 20  # of a broker's answer, mostly compressed: with what waits between consumer and intake it bounds memory

log = structlog.get_logger()


def credentials(settings: KafkaSettings) -> faust.auth.Credentials | None:
    """Faust's form of the Kafka settings' protocol and account; None for plain text without an account."""
    if settings.security_protocol == "PLAINTEXT":
        return None
    context = ssl.create_default_context(cafile=str(settings.ssl_cafile) if settings.ssl_cafile else None)
    if settings.security_protocol == "SSL":
        return faust.SSLCredentials(context)
    return faust.SASLCredentials(
        username=settings.sasl_username,
        password=settings.sasl_password.get_secret_value() if settings.sasl_password else None,
        mechanism=settings.sasl_mechanism or "PLAIN",
        ssl_context=context if settings.security_protocol == "SASL_SSL" else None,
    )


class ReadCommittedThread(driver.AIOKafkaConsumerThread):
    """Faust reads uncommitted unless it runs its own (broken) transactions; the sources here are transactional."""

    def _create_worker_consumer(self, transport: Any) -> aiokafka.AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        # Read when the fetcher is built, at start; tests/integration checks that aborted records are not seen.
        consumer._isolation_level = "read_committed"
        consumer._fetch_max_wait_ms = FETCH_MAX_WAIT_MS
        consumer._fetch_max_bytes = FETCH_MAX_BYTES
        return consumer

    async def on_start(self) -> None:
        await super().on_start()
        transport = cast(BatchTransport, self.transport)
        log_records.install(self._consumer, transport.batched_topic)
        expired.install(self._consumer, transport.positioned_topics, transport.lost)
        commits.install(self._consumer)


class BatchConsumer(driver.Consumer):
    """Yields one message a partition and fetch of ``Transport.batched_topic``: value = the records, offset = the last one's."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._positions = Positions()
        self._fetching = asyncio.Lock()
        self._seeks = 0
        self._sought: dict[TP, int | None] = {}
        self._committed: dict[TP, int | None] = {}

    @property
    def _batched_topic(self) -> str:
        return cast(BatchTransport, self.transport).batched_topic

    @property
    def member_id(self) -> str:
        """By which the group knows this worker; empty before it has joined."""
        consumer = self._thread._consumer
        return str(consumer._coordinator.member_id) if consumer is not None else ""

    def _is_positioned(self, tp: TP) -> bool:
        return tp.topic in cast(BatchTransport, self.transport).positioned_topics

    def _new_consumer_thread(self) -> ReadCommittedThread:
        return ReadCommittedThread(self, loop=self.loop, beacon=self.beacon)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Message]]:  # noqa: ASYNC109 - Faust's signature
        if not self.flow_active:
            await self.wait(self.can_resume_flow.wait())
        async with self._fetching:  # never while partitions are sought: a fetch is from before or from after
            if not self.flow_active:
                return
            seeks = self._seeks
            records, active = await self._wait_next_records(timeout)
            generation = self.app.consumer_generation_id
        if records is None or self.should_stop:
            return
        if not self.flow_active:
            await self.perform_seek()
            return
        batched = {tp: batch for tp, batch in records.items() if tp.topic == self._batched_topic and batch}
        for tp, message in self._messages(records, batched, generation):
            if self._seeks != seeks:
                return  # what is left was fetched before the seek and will come again
            if not self._may_deliver(tp, active, generation):
                self._positions.skip([tp for tp in records if self._is_positioned(tp)])
                return
            self.app.monitor.track_tp_end_offset(tp, self.highwater(tp))
            if self._is_positioned(tp):
                self._positions.deliver(tp, message.offset)
            yield tp, message
            if self._seeks != seeks:
                # Faust has just noted the message as read, behind the seek: it would drop what is read again before it, and never commit.
                self._read_offset[tp] = self._sought.get(tp)
                return

    async def _wait_next_records(self, timeout: float) -> tuple[Any, set[TP] | None]:  # noqa: ASYNC109 - Faust's signature
        """Faust waits a whole second, also where no partition is active; nobody could seek meanwhile."""
        if not self._get_active_partitions():
            await self.sleep(LONGEST_WAIT_S)
            return {}, None
        return await super()._wait_next_records(min(timeout, LONGEST_WAIT_S))

    def _messages(
        self, records: Mapping[TP, list[Any]], batched: dict[TP, list[Any]], generation: int
    ) -> Iterator[tuple[TP, ConsumerMessage]]:
        """One message a record of ordinary topics, then one a partition of the batched one."""
        single = {tp: batch for tp, batch in records.items() if tp.topic != self._batched_topic}
        for tp, record in self.scheduler.iterate(single):
            yield tp, self._to_message(tp, record)
        for tp, batch in batched.items():
            yield tp, self._batch_message(tp, batch, generation)

    def _may_deliver(self, tp: TP, active: set[TP] | None, generation: int) -> bool:
        if not self.flow_active or self.app.consumer_generation_id != generation:
            return False
        return active is None or tp in active or tp in self._buffered_partitions

    @staticmethod
    def _batch_message(tp: TP, batch: list[LogRecord], generation: int) -> ConsumerMessage:
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            batch[-1].offset,
            0.0,
            0,
            [],
            None,
            cast(bytes, batch),  # the records themselves; the topic's codec hands them on as they are
            None,
            0,
            0,
            tp,
            generation_id=generation,
        )

    def ack(self, message: Message) -> bool:
        if not self._is_positioned(message.tp):
            return bool(super().ack(message))
        if message.acked:
            return False
        message.acked = True
        self._unacked_messages.discard(message)
        self._positions.acknowledge(message.tp, message.offset)
        self._acked[message.tp] = [message.offset]  # so that Faust sees something to commit for this partition
        self._n_acked += 1
        return True

    def _new_offset(self, tp: TP) -> int | None:
        return self._positions.next_offset(tp) if self._is_positioned(tp) else super()._new_offset(tp)

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        if not self._is_positioned(tp):
            await super()._add_gap(tp, offset_from, offset_to)

    async def perform_seek(self) -> None:
        """Go back to what is committed, or where nothing is, to the beginning.

        Faust leaves a partition where it stands that has no committed offset, or the offset 0, although by then it may have fetched records and dropped them.
        A partition that is revoked meanwhile ends the attempt: the assignment that follows seeks again, and until then no position moves.
        """
        async with self._fetching:
            assigned = self.assignment()
            try:
                await self._go_back()
            except IllegalStateError as error:
                log.info("a partition was revoked while it was sought", error=str(error))
                self._positions.skip(assigned)
            else:
                self._positions.restart()
            self._sought = dict(self._read_offset)
            self._seeks += 1

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """What Kafka answers is kept: what Faust notes of it is dropped when a rebalance comes in between, and would pass for "nothing is committed"."""
        found = await super().seek_to_committed()
        self._committed = {TP(tp.topic, tp.partition): offset for tp, offset in found.items()}
        return found

    async def _go_back(self) -> None:
        """Kafka's client seeks only offsets above 0. A commit of 0 is one, as whoever sets a group back to the beginning makes it: what has expired from there on is lost, and told."""
        await super().perform_seek()
        committed = {tp: offset for tp, offset in self._committed.items() if self._is_positioned(tp)}
        never = [tp for tp, offset in committed.items() if offset is None or offset < 0]
        places = dict(await self.earliest_offsets(*never)) if never else {}
        places |= {tp: offset for tp, offset in committed.items() if offset == 0}
        for tp, offset in places.items():
            await self.seek(tp, offset)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Positions acknowledged under an earlier assignment are not this one's."""
        self._positions.restart()
        await super().on_partitions_assigned(assigned, generation_id)


class PromptTableManager(TableManager):
    """Faust waits a second for tables that modules may still declare. Here there is one, made with the application."""

    async def on_start(self) -> None:
        await self._update_channels()
        await self.recovery.start()


class BatchTransport(driver.Transport):
    """A transport whose *batched_topic* is delivered a fetch at a time. *positioned_topics*: those that agents acknowledge; the batched one is among them.

    *lost* is called where the broker has not any more what is to be read next of a positioned topic.
    """

    Consumer: ClassVar[type[BatchConsumer]] = BatchConsumer
    batched_topic: str
    positioned_topics: frozenset[str]
    lost: expired.Lost

    def __init__(self, *args: Any, batched_topic: str, positioned_topics: Collection[str], lost: expired.Lost, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.batched_topic = batched_topic
        self.positioned_topics = frozenset(positioned_topics)
        self.lost = lost

"""What Faust believes it has read, after partitions were sought in the middle of a delivery."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import RebalanceInProgressError
from faust.types import TP

from stream_processor.adapters import commits
from stream_processor.adapters.kafka_transport import BatchConsumer
from stream_processor.adapters.positions import Positions
from tests.support.bare_consumer import BareConsumer

CRM, LOG = TP("crm.changes", 0), TP("prosthesis.log", 0)


class Consumer(BatchConsumer):
    """A consumer without a broker: fetches what it is given, and is sought to *sought*."""

    should_stop = False

    def __init__(self, fetched: dict[TP, list[Any]], sought: int) -> None:
        self._positions = Positions()
        self._fetching = asyncio.Lock()
        self._seeks = 0
        self._sought = {}
        self._read_offset: dict[TP, int | None] = dict.fromkeys(fetched, 0)
        self._fetched = fetched
        self._back = sought
        self.flow_active = True
        self.scheduler = SimpleNamespace(iterate=lambda records: ((tp, record) for tp, batch in records.items() for record in batch))
        self.app = SimpleNamespace(consumer_generation_id=1, monitor=SimpleNamespace(track_tp_end_offset=lambda *_: None))
        self.transport = SimpleNamespace(batched_topic=LOG.topic, positioned_topics={LOG.topic, CRM.topic})

    async def _wait_next_records(self, timeout: float) -> Any:  # noqa: ASYNC109 - Faust's signature
        return self._fetched, None

    def _to_message(self, tp: TP, record: Any) -> Any:
        return SimpleNamespace(offset=record.offset)

    def highwater(self, tp: TP) -> int:
        return 99

    def assignment(self) -> set[TP]:
        return set(self._fetched)

    async def _go_back(self) -> None:
        self._read_offset = dict.fromkeys(self._fetched, self._back)


async def drained(consumer: Consumer, seek_at: int) -> list[int]:
    """As Faust drains: what was delivered is then noted as read. Partitions are sought while the message at *seek_at* is on its way."""
    delivered = []
    async for tp, message in consumer.getmany(1.0):
        delivered.append(message.offset)
        if message.offset == seek_at:
            await consumer.perform_seek()
        consumer._read_offset[tp] = message.offset
    return delivered


async def test_a_message_on_its_way_during_a_seek_leaves_the_position_where_it_was_sought() -> None:
    consumer = Consumer({CRM: [SimpleNamespace(offset=offset) for offset in (7, 8, 9)]}, sought=5)
    assert await drained(consumer, seek_at=8) == [7, 8]
    assert consumer._read_offset[CRM] == 5


async def test_so_does_the_last_message_of_a_fetch() -> None:
    consumer = Consumer({CRM: [SimpleNamespace(offset=7)]}, sought=5)
    assert await drained(consumer, seek_at=7) == [7]
    assert consumer._read_offset[CRM] == 5


async def test_without_a_seek_everything_is_delivered_and_noted() -> None:
    consumer = Consumer({CRM: [SimpleNamespace(offset=offset) for offset in (7, 8)]}, sought=5)
    assert await drained(consumer, seek_at=-1) == [7, 8]
    assert consumer._read_offset[CRM] == 8


class Rebalanced(BareConsumer):
    """A consumer whose partitions are revoked, and given back, while it asks Kafka what is committed."""

    def __init__(self, committed: dict[TP, int | None]) -> None:
        super().__init__([LOG.topic, CRM.topic], self._answer)
        self.answered = committed
        self.sought_to: dict[TP, int] = {}

    def assignment(self) -> set[TP]:
        self._read_offset.clear()  # as on_partitions_revoked does
        return set(self.answered)

    async def _answer(self) -> dict[TP, int | None]:
        return self.answered

    async def earliest_offsets(self, *partitions: TP) -> dict[TP, int]:
        return dict.fromkeys(partitions, 3)

    async def seek(self, partition: TP, offset: int) -> None:
        self.sought_to[partition] = offset


async def test_a_rebalance_during_a_seek_sends_no_committed_partition_back_to_its_beginning() -> None:
    first, second = LOG, TP(LOG.topic, 1)
    consumer = Rebalanced({first: 70, second: None, CRM: None})
    await consumer.perform_seek()
    assert consumer.sought_to == {second: 3, CRM: 3}


async def test_a_partition_whose_group_was_set_back_to_zero_is_sought_there() -> None:
    """Kafka's client seeks to no committed offset but those above 0, and Faust has by then fetched records and dropped them: they were passed over, and acknowledged."""
    consumer = Rebalanced({LOG: 0, CRM: 70})
    await consumer.perform_seek()
    assert consumer.sought_to == {LOG: 0}


async def test_no_commit_is_sent_while_the_group_is_joined_anew() -> None:
    """Behind a JoinGroup it would be answered as one of a generation that is over, and cost the new membership."""
    sent: list[Any] = []

    async def send(_assignment: Any, offsets: Any) -> None:
        sent.append(offsets)

    subscription = SimpleNamespace(reassignment_in_progress=True)
    coordinator = SimpleNamespace(group_id="g", _do_commit_offsets=send)
    commits.install(SimpleNamespace(_coordinator=coordinator, _subscription=subscription))
    with pytest.raises(RebalanceInProgressError):
        await coordinator._do_commit_offsets(None, {LOG: 1})
    assert sent == []
    subscription.reassignment_in_progress = False
    await coordinator._do_commit_offsets(None, {LOG: 2})
    assert sent == [{LOG: 2}]


async def test_what_the_directory_has_acknowledged_is_committed_though_each_record_stands_in_a_transaction_of_its_own() -> None:
    consumer = Consumer({CRM: [SimpleNamespace(offset=offset) for offset in (7, 9, 11)]}, sought=5)
    await drained(consumer, seek_at=-1)
    for offset in (7, 9):
        consumer._positions.acknowledge(CRM, offset)
    assert consumer._new_offset(CRM) == 10

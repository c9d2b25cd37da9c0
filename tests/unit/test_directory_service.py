"""The directory's service decides on the next changes while Kafka has not acknowledged the former ones, and counts none as handled before."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from typing import Any

import pytest

from schemas.keys import CRM_TOPIC, crm_key
from schemas.mapping import SourceMapping
from schemas.partition_progress import PartitionProgress
from stream_processor.adapters.topics import TopicIdentity
from stream_processor.directory_service import KEY_CHANGED, PROGRESS_EVERY_S, CrmRecord, Decided, DirectoryService, Sent
from stream_processor.domain.directory import Directory
from stream_processor.domain.log_records import DeadLetter


class Producer:
    """Keeps what is sent, and acknowledges it, and what the table is told, when the test says so."""

    def __init__(self) -> None:
        self.written: asyncio.Future[None] | None = None
        self.sent: list[list[str]] = []
        self.acknowledged: list[asyncio.Future[None]] = []

    async def send_down(self, records: Sequence[tuple[str, bytes]]) -> Awaitable[object]:
        self.sent.append([prosthesis_id for prosthesis_id, _ in records])
        self.acknowledged.append(asyncio.get_running_loop().create_future())
        return self.acknowledged[-1]

    def table_written(self) -> asyncio.Future[None]:
        if self.written is None:
            self.written = asyncio.get_running_loop().create_future()
            self.written.set_result(None)
        return self.written

    async def send_dead_letters(self, dead: Sequence[DeadLetter], topic: str) -> None:
        raise AssertionError(f"{len(dead)} dead letters of {topic}")


class Service:
    """The service over a producer, and what it writes of its progress."""

    def __init__(self) -> None:
        self.producer = Producer()
        self.written: list[PartitionProgress] = []
        self._offset = 0
        topic = TopicIdentity(CRM_TOPIC, "a-topic", 1)
        directory = Directory(SourceMapping.read(), {})
        self.service = DirectoryService(directory, topic, self.producer, lambda _: (), self.written.extend)

    async def send(self, offset: int) -> Sent:
        return await self.service.send(await self.decide(offset))

    async def decide(self, offset: int) -> Decided:
        row = {"prosthesis_id": offset, "model": "Arm", "serial_number": f"S-{offset}"}
        source = {"table": "prostheses", "ts_ms": 1_000 + offset, "lsn": offset}
        value = json.dumps({"op": "c", "before": None, "after": row, "source": source}).encode()
        return await self.service.decide(CrmRecord(0, offset, None, value, (), 0))

    async def tell(
        self, table: str, before: dict[str, Any] | None, after: dict[str, Any] | None, headers: Sequence[tuple[str, bytes]] = ()
    ) -> None:
        self._offset += 1
        op = "d" if after is None else "c" if before is None else "u"
        source = {"table": table, "ts_ms": 1_000, "lsn": self._offset}
        value = json.dumps({"op": op, "before": before, "after": after, "source": source}).encode()
        await self.service.send(await self.service.decide(CrmRecord(0, self._offset, None, value, headers, 1_000)))

    async def write_progress(self) -> list[int]:
        """The offsets that a few rounds of writing have told."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.service.write_progress(), 3 * PROGRESS_EVERY_S)
        return [row.handled_offset for row in self.written]


async def test_what_the_next_changes_lead_to_is_sent_before_the_first_is_acknowledged_and_none_is_handled() -> None:
    service = Service()
    sent = [await service.send(offset) for offset in (1, 2, 3)]
    assert service.producer.sent == [["1"], ["2"], ["3"]]
    assert await service.write_progress() == []
    for future in service.producer.acknowledged[:2]:
        future.set_result(None)
    for one in sent[:2]:
        await service.service.handled(one)
    assert await service.write_progress() == [2]
    assert service.written[-1].as_of_ms == 1_002, "not of what is decided on alone"


async def test_what_kafka_does_not_acknowledge_is_not_handled() -> None:
    service = Service()
    sent = await service.send(1)
    service.producer.acknowledged[0].set_exception(ConnectionError("the broker is gone"))
    with pytest.raises(ConnectionError):
        await service.service.handled(sent)
    assert await service.write_progress() == []


async def test_nothing_is_sent_before_kafka_has_what_the_table_was_told() -> None:
    """Seed 9000030: the document was sent, its worker killed before the contract's row was in the changelog, and the contract's tombstone told nobody whose it was."""
    service = Service()
    service.producer.written = asyncio.get_running_loop().create_future()
    sending = asyncio.create_task(service.send(1))
    await asyncio.sleep(0.05)
    assert service.producer.sent == []
    service.producer.written.set_result(None)
    await sending
    assert service.producer.sent == [["1"]]


async def test_where_kafka_has_not_what_the_table_was_told_nothing_is_sent() -> None:
    service = Service()
    service.producer.written = asyncio.get_running_loop().create_future()
    service.producer.written.set_exception(ConnectionError("the broker is gone"))
    with pytest.raises(ConnectionError):
        await service.send(1)
    assert service.producer.sent == []


async def test_a_tombstone_is_sent_as_its_delete_would_be_and_tells_no_time_of_the_source() -> None:
    service = Service()
    decided = await service.service.decide(CrmRecord(0, 5, crm_key("crm.prostheses", "prosthesis_id", 1), None, (), 2_000))
    assert [prosthesis_id for prosthesis_id, _ in decided.down] == ["1"]
    assert (decided.progress.handled_offset, decided.progress.as_of_ms) == (5, 0)
    assert (await service.service.decide(CrmRecord(0, 6, b'{"heartbeat_id":1}', None, (), 3_000))).down == []


async def test_the_tombstone_of_a_changed_key_ends_nobody() -> None:
    """Debezium gives it the headers of its delete. Of a customer who was another user before, much would be erased otherwise."""
    service = Service()
    customer = {"customer_id": 7, "user_id": "u7", "full_name": "Seven", "timezone": "UTC"}
    contract = {"contract_id": 1, "number": "K", "customer_id": 7, "prosthesis_id": 3, "starts_at": "2026-01-01T00:00:00Z", "ends_at": None}
    other = customer | {"user_id": "u8"}
    moved = [(KEY_CHANGED, b"{}")]
    await service.tell("customers", None, customer)
    await service.tell("contracts", None, contract)
    await service.tell("customers", customer, other)
    await service.tell("customers", other, None, headers=moved)
    for headers, erased in ((moved, False), ([], True)):
        decided = await service.service.decide(CrmRecord(0, 50 + erased, crm_key("crm.customers", "customer_id", 7), None, headers, 1_000))
        assert any(b"erase" in value for _, value in decided.down) is erased

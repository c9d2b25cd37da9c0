"""Where the processor's consumer stands after it was sought, with Kafka's own client and a real broker under it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
from aiokafka import AIOKafkaConsumer
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # its stubs do not mark re-exports
from faust.types import TP

from cli.broker import Broker
from stream_processor.adapters.kafka_transport import BatchConsumer
from stream_processor.adapters.positions import Positions
from tests.support.endpoints import KafkaEndpoint
from tests.support.waiting import PATIENCE_S

RECORDS = 5
AGAIN_S = 30.0


class Consumer(BatchConsumer):
    """The processor's, over *client*; the rest of Faust is not there."""

    def __init__(self, client: AIOKafkaConsumer, at: TP) -> None:
        self._client, self._at = client, at
        self._positions = Positions()
        self._fetching = asyncio.Lock()
        self._seeks = 0
        self._sought = {}
        self._read_offset: dict[TP, int | None] = {}
        self._committed_offset: dict[TP, int | None] = {}
        self._committed = {}
        self._last_batch = None
        self._thread = SimpleNamespace(seek_to_committed=client.seek_to_committed)
        self.transport = SimpleNamespace(batched_topic=at.topic, positioned_topics={at.topic})
        self.log = SimpleNamespace(dev=lambda *_: None)

    def assignment(self) -> set[TP]:
        return {self._at}

    async def earliest_offsets(self, *partitions: TP) -> dict[TP, int]:
        found = await self._client.beginning_offsets(partitions)
        return {TP(tp.topic, tp.partition): offset for tp, offset in found.items()}

    async def _seek(self, partition: TP, offset: int) -> None:
        self._client.seek(partition, offset)


@pytest.fixture
def topic(kafka: KafkaEndpoint) -> Iterator[str]:
    """With RECORDS records in its one partition."""
    name = f"test-{secrets.token_hex(4)}"
    admin = AdminClient({**kafka.client(), "log_level": 0})
    admin.create_topics([NewTopic(name, 1, 1)])[name].result(timeout=PATIENCE_S)
    producer = Producer({**kafka.client(), "log_level": 0})
    for number in range(RECORDS):
        producer.produce(name, str(number).encode())
    assert producer.flush(PATIENCE_S) == 0
    yield name
    admin.delete_topics([name])[name].result(timeout=PATIENCE_S)


@asynccontextmanager
async def client_of(kafka: KafkaEndpoint, group: str, at: TP) -> AsyncIterator[AIOKafkaConsumer]:
    account = kafka.accounts["kafka"]
    client = AIOKafkaConsumer(
        bootstrap_servers=kafka.bootstrap_servers, group_id=group, enable_auto_commit=False, auto_offset_reset="earliest",
        security_protocol="SASL_PLAINTEXT", sasl_mechanism="PLAIN", sasl_plain_username=account.user, sasl_plain_password=account.password,
    )  # fmt: skip
    client.assign([at])
    await client.start()
    try:
        yield client
    finally:
        await client.stop()


@pytest.mark.parametrize("committed", [None, 0, 3])
async def test_what_was_fetched_and_dropped_before_a_seek_is_fetched_again(kafka: KafkaEndpoint, topic: str, committed: int | None) -> None:
    """Kafka's client leaves a partition where it stands whose group has committed nothing, or 0, as one has that was set back to the beginning."""
    at, group, broker = TP(topic, 0), f"test-{secrets.token_hex(4)}", Broker(kafka.settings())
    if committed is not None:
        broker.commit(group, topic, {0: committed})
    async with client_of(kafka, group, at) as client:
        dropped = await client.getmany(timeout_ms=int(PATIENCE_S * 1000))
        assert [record.offset for record in dropped[at]] == list(range(committed or 0, RECORDS))
        await Consumer(client, at).perform_seek()
        again = await client.getmany(timeout_ms=int(AGAIN_S * 1000))
    assert [record.offset for record in again.get(at, [])] == list(range(committed or 0, RECORDS))

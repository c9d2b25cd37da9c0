"""What the processor's consumer makes of the client under it, with a real broker: where it stands after it was sought, and commits while its group is joined anew."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import CommitFailedError
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # its stubs do not mark re-exports
from faust.types import TP

from cli.broker import Broker
from stream_processor.adapters import commits
from tests.support.bare_consumer import BareConsumer
from tests.support.endpoints import KafkaEndpoint
from tests.support.waiting import PATIENCE_S

RECORDS = 5
AGAIN_S = 30.0


class Consumer(BareConsumer):
    """Over *client*."""

    def __init__(self, client: AIOKafkaConsumer, at: TP) -> None:
        super().__init__([at.topic], client.seek_to_committed)
        self._client, self._at = client, at

    def assignment(self) -> set[TP]:
        return {self._at}

    async def earliest_offsets(self, *partitions: TP) -> dict[TP, int]:
        found = await self._client.beginning_offsets(partitions)
        return {TP(tp.topic, tp.partition): offset for tp, offset in found.items()}

    async def _seek(self, partition: TP, offset: int) -> None:
        self._client.seek(partition, offset)


@pytest.fixture
def topic(kafka: KafkaEndpoint) -> Iterator[str]:
    """With RECORDS records in the first of its two partitions."""
    name = f"test-{secrets.token_hex(4)}"
    admin = AdminClient({**kafka.client(), "log_level": 0})
    admin.create_topics([NewTopic(name, 2, 1)])[name].result(timeout=PATIENCE_S)
    producer = Producer({**kafka.client(), "log_level": 0})
    for number in range(RECORDS):
        producer.produce(name, str(number).encode(), partition=0)
    assert producer.flush(PATIENCE_S) == 0
    yield name
    admin.delete_topics([name])[name].result(timeout=PATIENCE_S)


@asynccontextmanager
async def client_of(kafka: KafkaEndpoint, group: str, of: TP | str, **settings: Any) -> AsyncIterator[AIOKafkaConsumer]:
    """Of a partition, or as a member of the group that shares a topic."""
    account = kafka.accounts["kafka"]
    client = AIOKafkaConsumer(
        bootstrap_servers=kafka.bootstrap_servers, group_id=group, enable_auto_commit=False, auto_offset_reset="earliest",
        security_protocol="SASL_PLAINTEXT", sasl_mechanism="PLAIN", sasl_plain_username=account.user, sasl_plain_password=account.password,
        **settings,
    )  # fmt: skip
    if isinstance(of, TP):
        client.assign([of])
    else:
        client.subscribe([of])
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


SLOW = {"heartbeat_interval_ms": 2_000, "session_timeout_ms": 10_000}
"""A member that learns only with its next heartbeat that the group is joined anew: until then the others' joining waits for it."""


async def test_a_commit_while_the_group_is_joined_anew_costs_no_membership(kafka: KafkaEndpoint, topic: str) -> None:
    group = f"test-{secrets.token_hex(4)}"
    async with client_of(kafka, group, topic) as one, client_of(kafka, group, topic, **SLOW) as other:
        commits.install(one)
        await joined(one, other)
        generation = one._coordinator.generation
        joining = noted_joining(one)
        one._coordinator.request_rejoin()
        await asyncio.wait_for(joining.wait(), PATIENCE_S)
        with pytest.raises(CommitFailedError, match="already rebalanced"):
            await one.commit(dict.fromkeys(one.assignment(), 1))
        await joined(one, other)
        assert one._coordinator.generation == generation + 1


def noted_joining(client: AIOKafkaConsumer) -> asyncio.Event:
    """Set when *client* sends its next JoinGroup: what it sends from then on stands behind that."""
    noted, send = asyncio.Event(), client._coordinator._send_req

    async def sent(request: Any) -> Any:
        if type(request).__name__.startswith("JoinGroupRequest"):
            noted.set()
        return await send(request)

    client._coordinator._send_req = sent
    return noted


async def joined(*clients: AIOKafkaConsumer) -> None:
    """Until all of them are in one generation, and stay in it for longer than a heartbeat."""
    since, until = time.monotonic(), time.monotonic() + PATIENCE_S
    last: list[int] = []
    while time.monotonic() - since < 2 * SLOW["heartbeat_interval_ms"] / 1000:
        now = [client._coordinator.generation for client in clients]
        if now != last or len({*now}) > 1 or any(client._subscription.reassignment_in_progress for client in clients):
            last, since = now, time.monotonic()
        assert time.monotonic() < until, f"the group does not come to rest: {now}"
        await asyncio.sleep(0.05)

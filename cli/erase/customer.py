"""Who is to be erased, as the CRM knows them, and the request down ``crm.changes``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
from confluent_kafka import KafkaError, KafkaException, Message, Producer
from psycopg import sql

from schemas.erasure import ErasureRequest, encode_request, request_key
from schemas.keys import CRM_TOPIC
from schemas.mapping import SourceMapping
from service_kit.settings import KafkaSettings, PostgresSettings

FLUSH_S = 30.0
PARTITION = 0
_WHO = """
    SELECT c.{id}::text, c.{user_id}::text, c.{name}::text, (SELECT count(DISTINCT k.{prosthesis}) FROM {contracts} AS k WHERE k.{owner} = c.{id}),
           (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
    FROM {customers} AS c WHERE c.{by}::text = %s
"""


class EraseError(RuntimeError):
    """An erasure could not be asked for; nothing was changed. The message says what to do."""


@dataclass(frozen=True)
class Customer:
    """*now_us*: the CRM's clock when it was asked, in microseconds since the epoch."""

    customer_id: str
    user_id: str
    name: str
    prostheses: int
    now_us: int


def find(database: PostgresSettings, mapping: SourceMapping, *, customer_id: str | None, user_id: str | None) -> Customer:
    """The one customer with that id or that user. Raises EraseError where there is none, psycopg.Error."""
    customers, contracts = mapping.crm.customers, mapping.crm.contracts
    names = {
        "id": customers.id,
        "user_id": customers.user_id,
        "name": customers.name,
        "prosthesis": contracts.prosthesis_id,
        "owner": contracts.customer_id,
        "by": customers.id if customer_id is not None else customers.user_id,
    }
    parts: dict[str, sql.Composable] = {key: sql.Identifier(name) for key, name in names.items()}
    tables = {key: sql.Identifier(*table.table.split(".")) for key, table in (("customers", customers), ("contracts", contracts))}
    wanted = customer_id if customer_id is not None else (user_id or "").lower()
    with psycopg.connect(**database.conninfo()) as connection:  # type: ignore[arg-type]  # keyword arguments of mixed types
        row: Any = connection.execute(sql.SQL(_WHO).format(**parts, **tables), (wanted,)).fetchone()
    if row is None:
        raise EraseError(f"the CRM knows no customer {wanted!r}; whoever was deleted there was erased then: `bionicpro erase --list`")
    return Customer(*row)


def ask(kafka: KafkaSettings, request: ErasureRequest) -> int:
    """Append the request; returns its offset once the broker has it. Raises KafkaException."""
    return _produce(kafka, request_key(request.request_id), encode_request(request))


def withdraw(kafka: KafkaSettings, request_id: str) -> None:
    """Let compaction remove a request that was carried out: it names a customer. Idempotent; raises KafkaException."""
    _produce(kafka, request_key(request_id), None)


def _produce(kafka: KafkaSettings, key: bytes, value: bytes | None) -> int:
    outcome: list[tuple[KafkaError | None, int]] = []

    def delivered(error: KafkaError | None, message: Message) -> None:
        outcome.append((error, message.offset() or 0))

    producer = Producer(kafka.producer() | {"log_level": 0})
    producer.produce(CRM_TOPIC, value, key, PARTITION, delivered)
    producer.flush(FLUSH_S)
    if not outcome:
        raise KafkaException(KafkaError(KafkaError._MSG_TIMED_OUT))
    error, offset = outcome[0]
    if error is not None:
        raise KafkaException(error)
    return offset

"""Keys and partitions of ``prosthesis.log``, and keys of ``crm.changes``: the one place that knows them.

A record's key is the prosthesis id as text: decimal without sign or leading zeros for integers, lower-case hyphenated for UUIDs.
The partition is Kafka's: ``toPositive(murmur2(key)) % partitions`` (``org.apache.kafka.clients.producer.internals.BuiltInPartitioner``),
which Debezium's producer uses by default. librdkafka needs ``partitioner=murmur2_random`` to agree.
"""

from __future__ import annotations

import re
from itertools import count
from typing import Any
from uuid import UUID

import msgspec

from schemas.ranges import INTEGER_ID, MAX_INTEGER_ID, UUID_ID

LOG_TOPIC = "prosthesis.log"
CRM_TOPIC = "crm.changes"
DEAD_LETTER_TOPIC = "prosthesis.dead-letters"
HEARTBEAT_PREFIX = "heartbeat-"
TABLE_FIELD = "__table"
"""Of a key of ``crm.changes``: the topic that the connector would have chosen for the table. ``connectors/crm.json`` adds it: most companies call the id of each table ``id``."""

_is_integer, _is_uuid = re.compile(INTEGER_ID).fullmatch, re.compile(UUID_ID).fullmatch
_M = 0x5BD1E995
_MASK = 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """Kafka's murmur2 (``org.apache.kafka.common.utils.Utils.murmur2``, seed 0x9747b28c) as an unsigned 32-bit integer."""
    length = len(data)
    h = (0x9747B28C ^ length) & _MASK
    whole = length & ~3
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i : i + 4], "little") * _M & _MASK
        k = (k ^ k >> 24) * _M & _MASK
        h = (h * _M & _MASK) ^ k
    tail = data[whole:]
    if tail:
        h = (h ^ int.from_bytes(tail, "little")) * _M & _MASK
    h = (h ^ h >> 13) * _M & _MASK
    return h ^ h >> 15


def partition_of(key: bytes, partitions: int) -> int:
    """The partition where Kafka's default partitioner puts *key*."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions


def prosthesis_key(prosthesis_id: int | str | UUID) -> bytes:
    """The record key of a prosthesis: the id in its one text form.

    Raises ValueError for text that is neither a decimal integer 0 … 2^63−1 without sign or leading zeros nor a UUID in lower case with hyphens.
    """
    text = str(prosthesis_id)
    if (_is_integer(text) and int(text) <= MAX_INTEGER_ID) or _is_uuid(text):
        return text.encode()
    raise ValueError(f"not a prosthesis id in canonical form: {text[:64]!r}")


def crm_topic(table: str) -> str:
    """What stands under ``TABLE_FIELD`` for *table* (with its schema)."""
    return f"crm.{table}"


def crm_key(table: str, id_column: str, row_id: Any) -> bytes:
    """The key in ``crm.changes`` of a row of *table* (with its schema), byte for byte as the connector writes it."""
    return msgspec.json.encode({id_column: row_id, TABLE_FIELD: crm_topic(table)})


def heartbeat_key(partition: int, partitions: int) -> str:
    """The first ``heartbeat-<partition>-<n>`` that lands in *partition*: the key of its row in the heartbeat table."""
    for n in count():
        key = f"{HEARTBEAT_PREFIX}{partition}-{n}"
        if partition_of(key.encode(), partitions) == partition:
            return key
    raise AssertionError("unreachable")

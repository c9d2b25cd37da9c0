"""Ownership as the processor has it against the CRM: what repair does where a change of the CRM never came (a lost slot, a lost topic).

Rows that changed or are missing are read again by the connector. Rows that were deleted no snapshot tells of: for them repair itself writes what the connector would have written.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import psycopg
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from psycopg import sql

from reconciliation.commands import CommandError, ask_for_condition
from reconciliation.oracle import Interval
from reconciliation.source_sql import table
from schemas.keys import CRM_TOPIC
from schemas.mapping import SourceMapping, bare
from schemas.ownership import Ownership, OwnershipDocument
from schemas.ranges import EARLIEST_US, END_US
from service_kit.settings import KafkaSettings, PostgresSettings

_WAIT_S = 30.0
_IDS_AT_ONCE = 10_000
_FIELDS = ("starts_us", "ends_us", "user_id", "customer_id", "customer_name", "timezone", "contract_id", "contract_number")

Row = dict[str, Any]


def differing(prostheses: Iterable[str], documents: Mapping[str, OwnershipDocument], intervals: Sequence[Interval]) -> frozenset[str]:
    """Those of *prostheses* whose document in force is not what the CRM says. Pure."""
    wanted = _by_prosthesis(intervals)
    return frozenset(p for p in prostheses if not _agrees(documents.get(p), wanted.get(p, [])))


def differing_anywhere(documents: Iterable[OwnershipDocument], intervals: Sequence[Interval]) -> frozenset[str]:
    """All prostheses of which *documents*, those in force, are not what the CRM says. Pure."""
    wanted = _by_prosthesis(intervals)
    found: set[str] = set()
    without = set(wanted)
    for document in documents:
        without.discard(document.prosthesis_id)
        if not _agrees(document, wanted.get(document.prosthesis_id, [])):
            found.add(document.prosthesis_id)
    return frozenset(found | without)


def _by_prosthesis(intervals: Sequence[Interval]) -> dict[str, list[Interval]]:
    wanted: dict[str, list[Interval]] = {}
    for interval in intervals:
        wanted.setdefault(interval["prosthesis_id"], []).append(interval)
    return wanted


def _agrees(document: OwnershipDocument | None, intervals: Sequence[Interval]) -> bool:
    if document is None:
        return not intervals
    said = [tuple(getattr(interval, name) for name in _FIELDS) for interval in within_events(document.intervals)]
    attributes = {(interval["prosthesis_model"], interval["prosthesis_serial_number"]) for interval in intervals}
    return said == [tuple(i[name] for name in _FIELDS) for i in intervals] and attributes <= {(document.model, document.serial_number)}


def within_events(intervals: Iterable[Ownership]) -> Iterator[Ownership]:
    """The part of *intervals* that events can lie in: documents of an earlier version reach beyond it."""
    for interval in intervals:
        starts = max(interval.starts_us, EARLIEST_US)
        ends = END_US if interval.ends_us is None else min(interval.ends_us, END_US)
        if starts < ends:
            yield msgspec.structs.replace(interval, starts_us=starts, ends_us=None if ends == END_US else ends)


@dataclass
class KnownRows:
    """The last row of each key that the CRM's topic holds, by table, with the bytes of its key."""

    by_table: dict[str, dict[str, tuple[bytes, Row]]] = field(default_factory=dict)

    def take(self, key: bytes, value: bytes | None, ids: Mapping[str, str]) -> None:
        """One record in the topic's order. *ids*: the id column by table."""
        if value is None:
            return
        envelope = json.loads(value)
        name = envelope.get("source", {}).get("table", "")
        row = envelope.get("after") or envelope.get("before")
        if name not in ids or row is None or ids[name] not in row:
            return
        known = self.by_table.setdefault(name, {})
        if envelope["op"] == "d":
            known.pop(str(row[ids[name]]), None)
        else:
            known[str(row[ids[name]])] = (key, row)


def _portions(known: Mapping[str, tuple[bytes, Row]]) -> Iterator[dict[str, tuple[bytes, Row]]]:
    """*known* in parts of which a query can name all rows."""
    left = iter(known.items())
    while some := dict(itertools.islice(left, _IDS_AT_ONCE)):
        yield some


class VanishedCustomers(Exception):  # noqa: N818 - named for what it is
    """*number* of *known* customers are in the CRM no more: more than anybody would delete, so that it may be another or an empty database."""

    def __init__(self, number: int, known: int) -> None:
        super().__init__(f"{number} of {known} customers that the directory knows are not in the CRM")
        self.number = number


class CrmRepair:
    """Brings the CRM's rows about some prostheses down the topic again."""

    def __init__(self, kafka: KafkaSettings, database: PostgresSettings, mapping: SourceMapping) -> None:
        self._kafka = kafka
        self._database = database
        self._mapping = mapping
        crm = mapping.crm
        self._ids = {bare(t.table): t.id for t in (crm.customers, crm.contracts, crm.prostheses)}

    def run(self, prostheses: Sequence[str]) -> int:
        """Ask for the rows about *prostheses* and take back those that the CRM no longer has. Returns how many were taken back.

        Idempotent. Raises psycopg.Error, KafkaException, CommandError.
        """
        crm = self._mapping.crm
        known = self._known_rows()
        contracts = known.by_table.get(bare(crm.contracts.table), {})
        customers = known.by_table.get(bare(crm.customers.table), {})
        bionics = known.by_table.get(bare(crm.prostheses.table), {})
        about = {i: entry for i, entry in contracts.items() if str(entry[1].get(crm.contracts.prosthesis_id)) in set(prostheses)}
        # A row of a time in which a column had another name says nothing of it; the row is asked for again all the same.
        owners = {str(row[crm.contracts.customer_id]) for _, row in about.values() if crm.contracts.customer_id in row}
        with psycopg.connect(**self._database.conninfo()) as connection:  # type: ignore[arg-type]  # keyword arguments of mixed types
            present = self._column(connection, crm.contracts.table, crm.contracts.customer_id, crm.contracts.prosthesis_id, prostheses)
            gone = [
                *self._absent(connection, crm.contracts.table, crm.contracts.id, about),
                *self._absent(connection, crm.customers.table, crm.customers.id, {i: customers[i] for i in owners if i in customers}),
                *self._absent(connection, crm.prostheses.table, crm.prostheses.id, {i: bionics[i] for i in prostheses if i in bionics}),
            ]
        self._take_back(gone)
        self._ask(crm.customers.table, crm.customers.id, sorted(owners | present))
        self._ask(crm.prostheses.table, crm.prostheses.id, prostheses)
        self._ask(crm.contracts.table, crm.contracts.prosthesis_id, prostheses)
        return len(gone)

    def take_back_what_is_gone(self, known: KnownRows, most_customers: int) -> int:
        """Take back all rows of *known*, or that the topic tells of, that the CRM no longer has, contracts before their customers. Returns how many they were.

        What the topic tells need not have been handled: the CRM was restored to before it while no worker ran.

        Idempotent. Raises psycopg.Error, CommandError; VanishedCustomers, having taken nothing back, where more than *most_customers* are gone: that erases them.
        """
        crm, told = self._mapping.crm, self._known_rows()
        rows_of = {
            of.table: {**known.by_table.get(bare(of.table), {}), **told.by_table.get(bare(of.table), {})}
            for of in (crm.contracts, crm.customers, crm.prostheses)
        }
        with psycopg.connect(**self._database.conninfo()) as connection:  # type: ignore[arg-type]  # keyword arguments of mixed types
            gone = {
                of.table: [entry for some in _portions(rows_of[of.table]) for entry in self._absent(connection, of.table, of.id, some)]
                for of in (crm.contracts, crm.customers, crm.prostheses)
            }
        vanished = len(gone[crm.customers.table])
        if vanished > most_customers:
            raise VanishedCustomers(vanished, len(rows_of[crm.customers.table]))
        rows = [*itertools.chain.from_iterable(gone.values())]
        self._take_back(rows)
        return len(rows)

    def _ask(self, of: str, column: str, values: Sequence[str]) -> None:
        if values:
            ask_for_condition(self._database, of, column, values)

    def _column(self, connection: psycopg.Connection[Any], of: str, wanted: str, column: str, values: Sequence[str]) -> set[str]:
        statement = sql.SQL("SELECT DISTINCT {}::text FROM {} WHERE {}::text = ANY(%s)").format(
            sql.Identifier(wanted), table(of), sql.Identifier(column)
        )
        return {str(row[0]) for row in connection.execute(statement, (list(values),))}

    def _absent(
        self, connection: psycopg.Connection[Any], of: str, column: str, known: Mapping[str, tuple[bytes, Row]]
    ) -> list[tuple[str, bytes, Row]]:
        there = self._column(connection, of, column, column, list(known))
        return [(of, key, row) for i, (key, row) in known.items() if i not in there]

    def _known_rows(self) -> KnownRows:
        """All of the CRM's topic, which is compacted, up to its end now."""
        known = KnownRows()
        at = TopicPartition(CRM_TOPIC, 0, 0)
        consumer = Consumer(self._kafka.consumer("bionicpro-repair") | {"enable.auto.commit": False, "auto.offset.reset": "earliest"})
        try:
            start, end = consumer.get_watermark_offsets(at, timeout=_WAIT_S)
            consumer.assign([TopicPartition(CRM_TOPIC, 0, start)])
            deadline, position = time.monotonic() + _WAIT_S, start
            while position < end:
                for message in consumer.consume(num_messages=1000, timeout=0.2):
                    if message.error() is not None:
                        raise KafkaException(message.error())
                    known.take(message.key() or b"", message.value(), self._ids)
                    deadline = time.monotonic() + _WAIT_S
                position = max(position, consumer.position([at])[0].offset)
                if time.monotonic() > deadline:
                    raise CommandError(f"{CRM_TOPIC} could not be read beyond offset {position} of {end}: `bionicpro status`")
        finally:
            consumer.close()
        return known

    def _take_back(self, gone: Sequence[tuple[str, bytes, Row]]) -> None:
        """What the connector writes for a delete: the envelope, and a tombstone for compaction."""
        producer = Producer(self._kafka.producer())
        refused: list[str] = []

        def delivered(error: KafkaError | None, _message: Message) -> None:
            if error is not None:
                refused.append(error.str())

        for of, key, row in gone:
            source = {"table": bare(of), "ts_ms": int(time.time() * 1000), "name": "repair"}
            value = json.dumps({"op": "d", "before": row, "after": None, "source": source}).encode()
            producer.produce(CRM_TOPIC, value, key, 0, delivered)
            producer.produce(CRM_TOPIC, None, key, 0, delivered)
            producer.poll(0)
        left = producer.flush(_WAIT_S)
        if left or refused:
            raise CommandError(
                f"{left + len(refused)} records did not reach {CRM_TOPIC}: {refused[0] if refused else 'no answer'}; repair again"
            )

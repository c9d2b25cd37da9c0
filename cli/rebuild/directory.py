"""What the directory of the former generation knows, for that of a new one (ADR 50): compaction has left it to be told nowhere else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec
from confluent_kafka import KafkaError, Message, Producer

from cli.broker import Broker
from cli.rebuild.progress import RebuildError
from reconciliation.directory import KnownRows
from schemas.commands import Erase
from schemas.erasure_rules import ErasureRule
from schemas.keys import crm_key
from schemas.mapping import ContractsTable, Crm, CustomersTable, ProsthesesTable, bare
from service_kit.settings import KafkaSettings
from stream_processor.adapters.compacted_topic import records_before
from stream_processor.domain.crm import CrmTable
from stream_processor.domain.customer_erasure import all_decided
from stream_processor.domain.directory_facts import means_the_same_in_another_topic

_WAIT_S = 30.0
_END = b'"end"'

Rows = dict[bytes, bytes]
"""A directory's table as its changelog has it: JSON by JSON text."""


def table_of(kafka: KafkaSettings, changelog: str) -> Rows:
    """The rows that *changelog* holds now; none where there is no such topic. Raises TimeoutError, KafkaException, RebuildError.

    It is read up to a tombstone of no row, written for that: compaction may have taken its last records, and a reader waits for ever for an end that is in no record.
    """
    if changelog not in Broker(kafka).topics([changelog]):
        return {}
    rows: Rows = {}
    for record in records_before(kafka, changelog, _written(kafka, changelog, {_END: None})):
        if record.key is not None and record.value is not None:
            rows[record.key] = record.value
        elif record.key is not None:
            rows.pop(record.key, None)
    return rows


def carried(rows: Mapping[bytes, bytes], *, same_topic: bool) -> Rows:
    """Those of *rows* that are true in the next generation too. *same_topic*: it reads the very ``crm.changes`` that they were made from. Pure."""
    return {key: row for key, row in rows.items() if same_topic or means_the_same_in_another_topic(msgspec.json.decode(key, type=str))}


def of_the_crm(rows: Mapping[bytes, bytes], crm: Crm) -> KnownRows:
    """Those of *rows* that are rows of the CRM, each under the key that it has in ``crm.changes``. Pure."""
    tables: dict[CrmTable, CustomersTable | ContractsTable | ProsthesesTable] = {
        CrmTable.CUSTOMERS: crm.customers,
        CrmTable.CONTRACTS: crm.contracts,
        CrmTable.PROSTHESES: crm.prostheses,
    }
    known = KnownRows()
    for key, value in rows.items():
        name, _, row_id = msgspec.json.decode(key, type=str).partition(":")
        if name in tables:
            of, row = tables[CrmTable(name)], msgspec.json.decode(value)
            known.by_table.setdefault(bare(of.table), {})[row_id] = crm_key(of.table, of.id, row[of.id]), row
    return known


def not_carried_out(rows: Mapping[bytes, bytes], rules: Iterable[ErasureRule]) -> list[Erase]:
    """Commands of erasures that the directory with *rows* has decided on and that no rule tells of. Pure.

    They were sent down the log, and it was lost before they were handled; what was decided on is decided once.
    """
    known = {rule.key for rule in rules}
    decided = {msgspec.json.decode(key, type=str): msgspec.json.decode(row) for key, row in rows.items()}
    return [command for command in all_decided(decided) if (command.prosthesis_id, command.command_id) not in known]


def write(kafka: KafkaSettings, changelog: str, rows: Mapping[bytes, bytes]) -> None:
    """Write *rows* to *changelog*. Idempotent before a worker has read it. Raises RebuildError."""
    _written(kafka, changelog, rows)


def _written(kafka: KafkaSettings, changelog: str, rows: Mapping[bytes, bytes | None]) -> int:
    """Write *rows* and return the last one's offset, -1 where there is none."""
    producer = Producer(kafka.producer())
    refused: list[str] = []
    offsets = [-1]

    def delivered(error: KafkaError | None, message: Message) -> None:
        if error is not None:
            refused.append(error.str())
        else:
            offsets.append(message.offset() or 0)

    for key, row in rows.items():
        while True:
            try:
                producer.produce(changelog, row, key, 0, delivered)
                break
            except BufferError:
                producer.poll(1.0)
    left = producer.flush(_WAIT_S)
    if left or refused:
        lost = f"{left + len(refused)} rows did not reach {changelog}: {refused[0] if refused else 'no answer'}"
        raise RebuildError(f"{lost}; start the rebuild again")
    return max(offsets)

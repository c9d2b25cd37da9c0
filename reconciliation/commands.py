"""Commands down the log and signals to the connector: how a repair is asked for. Effects only; what to ask for is decided in ``repair``."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import psycopg
from confluent_kafka import KafkaError, Message, Producer
from psycopg import sql

from reconciliation.columns_sql import Columns, types_of
from reconciliation.day_range import DayRange
from reconciliation.source_sql import query, table
from schemas.commands import Command, encode_command
from schemas.keys import LOG_TOPIC, prosthesis_key
from schemas.mapping import SourceMapping, TelemetryTable, bare, signals_table
from service_kit.settings import KafkaSettings, PostgresSettings

IDS_PER_SIGNAL = 1000
_FLUSH_S = 60.0


class CommandError(RuntimeError):
    """A command did not reach the log; sending it again is safe."""


def send(kafka: KafkaSettings, commands: Iterable[Command]) -> int:
    """Append *commands* to the log, each under its prosthesis's key, and wait until all are there. Returns their number.

    Raises CommandError naming the first that failed.
    """
    return send_located(kafka, commands)[0]


def send_located(kafka: KafkaSettings, commands: Iterable[Command]) -> tuple[int, dict[int, int]]:
    """As ``send``; returns also the offset of the last of them by partition."""
    producer = Producer(kafka.producer())
    failed: list[str] = []
    offsets: dict[int, int] = {}

    def delivered(error: KafkaError | None, message: Message) -> None:
        partition, offset = message.partition(), message.offset()
        if error is not None or partition is None or offset is None:
            failed.append(f"prosthesis {(message.key() or b'').decode()}: {error.str() if error else 'no offset'}")
        else:
            offsets[partition] = max(offset, offsets.get(partition, -1))

    sent = 0
    for command in commands:
        producer.produce(LOG_TOPIC, encode_command(command), prosthesis_key(command.prosthesis_id), on_delivery=delivered)
        producer.poll(0)
        sent += 1
    left = producer.flush(_FLUSH_S)
    if left or failed:
        raise CommandError(f"{left + len(failed)} of {sent} commands did not reach {LOG_TOPIC}: {failed[0] if failed else 'no answer'}")
    return sent, offsets


def ask_for_rows(database: PostgresSettings, mapping: SourceMapping, event_ids: Sequence[str]) -> int:
    """Make the connector read the rows with *event_ids* again (an incremental snapshot). Returns the number of signals.

    The account needs INSERT on the signal table. Raises psycopg.Error.
    """
    batches = list(_batches(event_ids, IDS_PER_SIGNAL))
    _signal(database, mapping.telemetry.table, [signal(mapping, batch) for batch in batches])
    return len(batches)


def ask_for_tables(database: PostgresSettings, tables: Sequence[str]) -> None:
    """Make the connector read whole *tables* of one database again, beside the changes that it goes on to send. Raises psycopg.Error."""
    _signal(database, tables[0], [{"data-collections": list(tables), "type": "INCREMENTAL"}])


def ask_for_condition(database: PostgresSettings, of: str, column: str, values: Sequence[str]) -> None:
    """Make the connector read those rows of table *of* again whose *column* is one of *values*, compared as text. Raises psycopg.Error."""
    for batch in _batches(values, IDS_PER_SIGNAL):
        texts = ", ".join("'" + value.replace("'", "''") + "'" for value in batch)
        quoted = '"' + column.replace('"', '""') + '"'
        condition = {"data-collection": of, "filter": f"{quoted}::text IN ({texts})"}
        _signal(database, of, [{"data-collections": [of], "type": "INCREMENTAL", "additional-conditions": [condition]}])


def ask_for_days(database: PostgresSettings, mapping: SourceMapping, parts: Iterable[tuple[DayRange, Sequence[str]]]) -> int:
    """Make the connector read the telemetry of certain prostheses, recorded in certain UTC days, again; a signal for each of *parts*. Returns their number.

    Raises psycopg.Error.
    """
    telemetry = mapping.telemetry
    with psycopg.connect(**database.conninfo()) as connection:  # type: ignore[arg-type]  # keyword arguments of mixed types
        # The connector's query names the table as it is called: its columns can be told by that name.
        columns = Columns(bare(telemetry.table), types_of(connection, table(telemetry.table)))
        filters = [_of_days(telemetry, columns, days, prostheses).as_string(connection) for days, prostheses in parts]
    conditions = [[{"data-collection": telemetry.table, "filter": one}] for one in filters]
    _signal(
        database,
        telemetry.table,
        [{"data-collections": [telemetry.table], "type": "INCREMENTAL", "additional-conditions": one} for one in conditions],
    )
    return len(conditions)


def _of_days(telemetry: TelemetryTable, columns: Columns, days: DayRange, prostheses: Sequence[str]) -> sql.Composed:
    recorded = columns.is_in(telemetry.recorded_at, *days.utc())
    listed = sql.SQL(", ").join(map(sql.Literal, prostheses))
    return sql.SQL(" AND ").join([*recorded, sql.SQL("{} IN ({})").format(columns.prosthesis_id(telemetry.prosthesis_id), listed)])


def _signal(database: PostgresSettings, beside: str, data: Sequence[Mapping[str, Any]]) -> None:
    """Write ``execute-snapshot`` signals into the signal table of the schema of table *beside*."""
    signals = signals_table(beside)
    with psycopg.connect(**database.conninfo()) as connection:  # type: ignore[arg-type]  # keyword arguments of mixed types
        for one in data:
            parameters = {"id": f"repair-{uuid.uuid4()}", "type": "execute-snapshot", "data": json.dumps(one)}
            connection.execute(query("signal", signals=table(signals)), parameters)


def signal(mapping: SourceMapping, event_ids: Sequence[str]) -> dict[str, Any]:
    """The data of Debezium's ``execute-snapshot`` signal for the rows with *event_ids* (integers or UUIDs, as PostgreSQL writes them)."""
    telemetry = mapping.telemetry
    column = telemetry.event_id
    literals = ", ".join(f"'{uuid.UUID(event_id)}'" if column.type == "uuid" else str(int(event_id)) for event_id in event_ids)
    quoted = '"' + column.column.replace('"', '""') + '"'
    condition = {"data-collection": telemetry.table, "filter": f"{quoted} IN ({literals})"}
    return {"data-collections": [telemetry.table], "type": "INCREMENTAL", "additional-conditions": [condition]}


def _batches(items: Sequence[str], size: int) -> Iterator[list[str]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch

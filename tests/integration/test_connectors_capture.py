"""What Debezium makes of changes: which record, under which key, in which partition, in which order."""

from __future__ import annotations

import secrets
from typing import Any

import psycopg

from schemas.keys import CRM_TOPIC, HEARTBEAT_PREFIX, LOG_TOPIC, crm_key, heartbeat_key, partition_of
from schemas.topics import log_partitions
from tests.support.captured import Captured, Tail
from tests.support.system import System

A, B = 800_000_001, 800_000_002
SIGNAL = "INSERT INTO telemetry.telemetry_events (prosthesis_id, recorded_at, kind) VALUES (%s, %s, 'signal') RETURNING event_id"


def telemetry(pipe: System, statement: str, parameters: tuple[object, ...] = ()) -> Any:
    with psycopg.connect(**pipe.postgres.conninfo("telemetry", "telemetry_ingest")) as connection:
        cursor = connection.execute(statement.encode(), parameters)
        return cursor.fetchone() if cursor.description else None


def about(*prostheses: int) -> Any:
    keys = {str(prosthesis).encode() for prosthesis in prostheses}
    return lambda record: record.key in keys


def test_an_idle_source_still_beats_in_every_partition_of_the_log(pipe: System) -> None:
    beats = lambda found: {record.partition for record in found}  # noqa: E731
    with Tail(pipe.kafka.client(), LOG_TOPIC) as tail:
        found = tail.until(
            lambda found: beats(found) == set(range(log_partitions())),
            lambda record: (record.key or b"").startswith(HEARTBEAT_PREFIX.encode()),
        )
    for record in found:
        assert record.key == heartbeat_key(record.partition, log_partitions()).encode()
        assert record.value["after"]["log_partition"] == record.partition


def test_a_barrier_comes_through_every_partition(pipe: System) -> None:
    barrier = f"test-{secrets.token_hex(8)}"
    with Tail(pipe.kafka.client(), LOG_TOPIC) as tail:
        with psycopg.connect(**pipe.postgres.conninfo("telemetry", "auditor")) as connection:
            connection.execute("UPDATE telemetry.pipeline_heartbeats SET barrier = %s", (barrier,))
        tail.until(
            lambda found: {record.partition for record in found} == set(range(log_partitions())),
            lambda record: (record.value.get("after") or {}).get("barrier") == barrier,
        )


def test_insert_update_and_delete_come_in_order_under_the_prosthesis_with_whole_rows(pipe: System) -> None:
    with Tail(pipe.kafka.client(), LOG_TOPIC) as tail:
        (event,) = telemetry(pipe, SIGNAL, (A, "2026-11-23T10:00:00.123456+00:00"))
        telemetry(pipe, "UPDATE telemetry.telemetry_events SET amplitude_uv = 7 WHERE event_id = %s", (event,))
        telemetry(pipe, "DELETE FROM telemetry.telemetry_events WHERE event_id = %s", (event,))
        insert, update, delete = tail.until(lambda found: len(found) == 3, about(A))
    assert [record.value["op"] for record in (insert, update, delete)] == ["c", "u", "d"]
    assert {record.partition for record in (insert, update, delete)} == {partition_of(str(A).encode(), log_partitions())}
    assert insert.value["after"]["recorded_at"] == "2026-11-23T10:00:00.123456Z"
    assert update.value["before"] == insert.value["after"]
    assert delete.value["before"] == update.value["after"]
    lsns = [record.value["source"]["lsn"] for record in (insert, update, delete)]
    assert lsns == sorted(set(lsns))


def test_an_event_moved_to_another_prosthesis_is_a_delete_there_and_an_insert_here_at_one_lsn(pipe: System) -> None:
    (event,) = telemetry(pipe, SIGNAL, (A, "2026-11-23T11:00:00Z"))
    with Tail(pipe.kafka.client(), LOG_TOPIC) as tail:
        telemetry(pipe, "UPDATE telemetry.telemetry_events SET prosthesis_id = %s WHERE event_id = %s", (B, event))
        found = tail.until(
            lambda found: len([r for r in found if r.value["op"] in "cd"]) >= 2, lambda r: about(A, B)(r) and moved(r, event)
        )
    deleted, inserted = sorted(found[-2:], key=lambda record: record.value["op"], reverse=True)
    assert (deleted.key, deleted.value["op"], deleted.value["after"]) == (str(A).encode(), "d", None)
    assert (inserted.key, inserted.value["op"], inserted.value["before"]) == (str(B).encode(), "c", None)
    assert deleted.value["source"]["lsn"] == inserted.value["source"]["lsn"]
    telemetry(pipe, "DELETE FROM telemetry.telemetry_events WHERE event_id = %s", (event,))


def moved(record: Captured, event: int) -> bool:
    """The records of the move alone: the earlier insert of the same event was under A and had no delete."""
    row = record.value["after"] or record.value["before"]
    inserted_there = record.value["op"] == "c" and record.key == str(A).encode()
    return row["event_id"] == event and not inserted_there


def test_an_incremental_snapshot_sends_every_row_of_a_prosthesis_again(pipe: System) -> None:
    prosthesis = 810_000_000 + secrets.randbelow(1_000_000)
    events = [telemetry(pipe, SIGNAL, (prosthesis, f"2026-11-23T12:00:{second:02}Z"))[0] for second in range(20)]
    signal = (
        '{"type": "incremental", "surrogate-key": "event_id", "data-collections": ["telemetry.telemetry_events"],'
        f' "additional-conditions": [{{"data-collection": "telemetry.telemetry_events", "filter": "prosthesis_id = {prosthesis}"}}]}}'
    )
    with Tail(pipe.kafka.client(), LOG_TOPIC) as tail:
        with psycopg.connect(**pipe.postgres.conninfo("telemetry", "auditor")) as connection:
            connection.execute(
                "INSERT INTO telemetry.debezium_signals (id, type, data) VALUES (%s, 'execute-snapshot', %s)",
                (f"test-{secrets.token_hex(8)}", signal),
            )
        found = tail.until(
            lambda found: len(found) >= len(events), lambda r: about(prosthesis)(r) and r.value["source"]["snapshot"] == "incremental"
        )
    assert sorted(record.value["after"]["event_id"] for record in found) == events
    assert {record.value["op"] for record in found} == {"r"}
    telemetry(pipe, "DELETE FROM telemetry.telemetry_events WHERE prosthesis_id = %s", (prosthesis,))


def test_crm_changes_come_in_commit_order_under_their_table_and_primary_key_and_deletes_leave_a_tombstone(pipe: System) -> None:
    serial = f"TEST-{secrets.token_hex(6)}"
    with Tail(pipe.kafka.client(), CRM_TOPIC) as tail:
        with psycopg.connect(**pipe.postgres.conninfo("crm", "crm_app"), autocommit=True) as crm:
            row = crm.execute(
                "INSERT INTO crm.prostheses (model, serial_number) VALUES ('M', %s) RETURNING prosthesis_id", (serial,)
            ).fetchone()
            assert row is not None
            crm.execute("UPDATE crm.prostheses SET model = 'N' WHERE serial_number = %s", (serial,))
            crm.execute("DELETE FROM crm.prostheses WHERE serial_number = %s", (serial,))
        key = crm_key("crm.prostheses", "prosthesis_id", row[0])
        found = tail.until(lambda found: len(found) == 4, lambda record: record.key == key)
    assert [record.value and record.value["op"] for record in found] == ["c", "u", "d", None]
    assert found[2].value["before"]["serial_number"] == serial


def test_the_envelope_carries_what_readers_need_and_no_dead_weight(pipe: System) -> None:
    with Tail(pipe.kafka.client(), LOG_TOPIC) as tail:
        (event,) = telemetry(pipe, SIGNAL, (B, "2026-11-23T13:00:00Z"))
        (record, *_) = tail.until(bool, about(B))
    telemetry(pipe, "DELETE FROM telemetry.telemetry_events WHERE event_id = %s", (event,))
    assert set(record.value) == {"before", "after", "source", "op", "ts_ms"}
    assert {"lsn", "ts_ms", "table", "sequence", "snapshot"} <= set(record.value["source"])

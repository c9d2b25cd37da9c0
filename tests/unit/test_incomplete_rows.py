"""A column that is absent is not null, and a delete that does not tell its row is not a delete of nothing: both are dead letters that ask for a repair."""

from __future__ import annotations

import json
from typing import Any

import pytest

from schemas.dead_letters import ABSENT_COLUMN, WITHOUT_IDENTITY
from schemas.mapping import SourceMapping
from stream_processor.domain.crm import CrmEnvelope, _Source
from stream_processor.domain.decode import LogDecoder
from stream_processor.domain.directory import Directory
from stream_processor.domain.log_records import Decoded, LogRecord

MAPPING = SourceMapping.read()
AT = "2026-11-23T10:00:00.000000Z"
EVENT: dict[str, Any] = {
    "event_id": 5, "prosthesis_id": 7, "recorded_at": AT, "received_at": AT, "kind": "battery", "amplitude_uv": None, "movement_recognised": None,
    "active_ms": None, "battery_percent": 40, "error_code": None, "error_severity": None, "latitude": None, "longitude": None,
}  # fmt: skip
# As Debezium tells the old row of a table whose replica identity is its key: what may not be null is invented.
BLANK = dict.fromkeys(EVENT) | {"event_id": 5, "prosthesis_id": 0, "received_at": "1970-01-01T00:00:00Z"}


def decoded(op: str, before: dict[str, Any] | None, after: dict[str, Any] | None, lsn: int | None = 9) -> Decoded:
    source = {"table": "telemetry_events", "lsn": lsn, "ts_ms": 1_795_000_000_000}
    value = json.dumps({"op": op, "before": before, "after": after, "source": source}).encode()
    return LogDecoder(MAPPING).decode([LogRecord(0, 0, b"7", value)])


def renamed(row: dict[str, Any], column: str) -> dict[str, Any]:
    return {f"{name}_new" if name == column else name: value for name, value in row.items()}


@pytest.mark.parametrize("column", ["event_id", "prosthesis_id", "recorded_at", "received_at", "kind", "battery_percent"])
@pytest.mark.parametrize(("op", "lsn"), [("c", 9), ("u", 9), ("d", 9), ("r", None)])
def test_a_row_without_one_of_its_columns_changes_nothing_and_is_a_dead_letter(op: str, lsn: int | None, column: str) -> None:
    row = renamed(EVENT, column)
    result = decoded(op, row if op in "ud" else None, row if op != "d" else None, lsn)
    assert [item.reason for item in result.dead] == [ABSENT_COLUMN]
    assert column in result.dead[0].error
    assert (result.changes, result.retractions, len(result.inserts.columns)) == ([], [], 0)


def test_a_null_is_what_it_was() -> None:
    assert [item.reason for item in decoded("c", None, EVENT | {"battery_percent": None}).dead] == ["invalid-row"]


@pytest.mark.parametrize("before", [None, BLANK, BLANK | {"prosthesis_id": ""}])
def test_a_delete_that_does_not_tell_its_row_is_a_dead_letter(before: dict[str, Any] | None) -> None:
    result = decoded("d", before, None)
    assert [item.reason for item in result.dead] == [WITHOUT_IDENTITY]
    assert result.changes == []


def test_an_update_that_does_not_tell_the_old_row_is_taken_and_asks_for_a_repair() -> None:
    result = decoded("u", None, EVENT)
    assert [item.reason for item in result.dead] == [WITHOUT_IDENTITY]
    assert len(result.changes) == 1


@pytest.mark.parametrize("wrong", [{"kind": "nonsense"}, {"recorded_at": None}, {"battery_percent": 101}])
def test_a_delete_of_a_row_that_never_counted_is_no_dead_letter(wrong: dict[str, Any]) -> None:
    result = decoded("d", EVENT | wrong, None)
    assert (result.dead, result.changes) == ([], [])


CUSTOMER = {"customer_id": 7, "user_id": "u7", "full_name": "Seven", "timezone": "Asia/Kolkata"}
CONTRACT = {"contract_id": 1, "number": "K", "customer_id": 7, "prosthesis_id": 3, "starts_at": "2026-01-01T00:00:00Z", "ends_at": None}
PROSTHESIS = {"prosthesis_id": 3, "model": "Arm", "serial_number": "S"}


def changed(table: str, row: dict[str, Any], op: str = "u") -> CrmEnvelope:
    return CrmEnvelope(op, _Source(table), row, None if op == "d" else row)


BEFORE = [changed("customers", CUSTOMER, "c"), changed("contracts", CONTRACT, "c")]


def directory(table: dict[str, dict[str, Any]] | None = None) -> Directory:
    made = Directory(MAPPING, {} if table is None else table)
    made.restore(made.table_after(BEFORE))
    return made


@pytest.mark.parametrize(
    ("table", "row", "column"),
    [("customers", CUSTOMER, "timezone"), ("customers", CUSTOMER, "user_id"), ("customers", CUSTOMER, "customer_id"),
     ("contracts", CONTRACT, "ends_at"), ("contracts", CONTRACT, "prosthesis_id")],
)  # fmt: skip
def test_a_renamed_column_of_the_crm_cuts_no_report_anew(table: str, row: dict[str, Any], column: str) -> None:
    known = directory()
    told = known.handle(changed(table, renamed(row, column)), 10)
    assert (told.documents, told.reason) == ([], ABSENT_COLUMN)
    (document,) = known.handle(changed("prostheses", PROSTHESIS), 11).documents
    assert [(interval.user_id, interval.timezone, interval.ends_us) for interval in document.intervals] == [("u7", "Asia/Kolkata", None)]


def test_what_was_known_before_a_column_was_renamed_outlives_a_restart_and_compaction() -> None:
    table: dict[str, dict[str, Any]] = {}
    directory(table)
    again = Directory(MAPPING, table)
    again.restore(again.table_after([changed("customers", renamed(CUSTOMER, "timezone")), BEFORE[1]]))
    (document,) = again.handle(changed("prostheses", PROSTHESIS), 11).documents
    assert [interval.timezone for interval in document.intervals] == ["Asia/Kolkata"]


def test_a_customer_whose_delete_tells_only_the_key_is_erased_by_what_is_known() -> None:
    told = directory().handle(changed("customers", {"customer_id": 7, "user_id": "", "full_name": "", "timezone": ""}, "d"), 10)
    (erase,) = told.erasures
    known = directory().handle(changed("customers", CUSTOMER, "d"), 10).erasures[0]
    assert erase.subject == known.subject


@pytest.mark.parametrize("before", [EVENT, EVENT | {"amplitude_uv": "no number"}])
def test_a_dead_letter_says_what_is_wrong_with_the_new_content_and_not_with_the_old(before: dict[str, Any]) -> None:
    (letter,) = decoded("u", before, EVENT | {"battery_percent": "half"}).dead
    assert letter.reason == "invalid-row"
    assert "$.after.battery_percent" in letter.error
    assert "amplitude" not in letter.error

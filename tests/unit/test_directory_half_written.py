"""The directory's table goes to its changelog row by row: a worker may die after any of them, and its successor begins with what came through."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

import pytest

from schemas.keys import crm_key
from schemas.mapping import SourceMapping
from stream_processor.domain.crm import CrmEnvelope, _Source
from stream_processor.domain.directory import Directory

AT_MS = 1_800_000_000_000
CUSTOMER = {"customer_id": 7, "user_id": "u7", "full_name": "Seven", "timezone": "UTC"}
CONTRACT: dict[str, Any] = {
    "contract_id": 1, "number": "K", "customer_id": 7, "prosthesis_id": 3, "starts_at": "2026-01-01T00:00:00Z", "ends_at": None,
}  # fmt: skip


class Changelog(dict[str, Any]):
    """A table that notes what it was after each write."""

    def __init__(self, rows: MutableMapping[str, Any]) -> None:
        super().__init__(rows)
        self.passed: list[dict[str, Any]] = [dict(rows)]

    def __setitem__(self, key: str, row: Any) -> None:
        super().__setitem__(key, row)
        self.passed.append(dict(self))

    def pop(self, key: str, default: Any = None) -> Any:  # type: ignore[override]
        row = super().pop(key, default)
        self.passed.append(dict(self))
        return row


def told(table: str, row: dict[str, Any], op: str = "c") -> CrmEnvelope:
    return CrmEnvelope(op, _Source(table, AT_MS), row if op == "d" else None, None if op == "d" else row)


def begun(rows: MutableMapping[str, Any], left: list[CrmEnvelope]) -> Directory:
    directory = Directory(SourceMapping.read(), rows)
    directory.restore(directory.table_after(left))
    return directory


def ended(directory: Directory, column: str, row_id: int) -> CrmEnvelope:
    table = {"contract_id": "contracts", "customer_id": "customers"}[column]
    change = directory.end_of(crm_key(f"crm.{table}", column, row_id), AT_MS)
    assert change is not None
    return change


@pytest.fixture
def known() -> dict[str, Any]:
    """What was known of one customer and his contract, both of which went while nobody had the directory: compaction has left their tombstones."""
    rows: dict[str, Any] = {}
    begun(rows, [told("customers", CUSTOMER), told("contracts", CONTRACT)])
    return rows


def test_a_worker_that_dies_while_it_takes_the_table_over_leaves_whom_the_end_is_of(known: dict[str, Any]) -> None:
    """Seed 7101517: the customer's row had gone, and the user whom he was had not been written."""
    changelog = Changelog(known)
    begun(changelog, [])
    assert len(changelog.passed) > 2
    for rows in changelog.passed:
        directory = begun(rows, [])
        directory.handle(ended(directory, "contract_id", 1), 10)
        (erasure,) = directory.handle(ended(directory, "customer_id", 7), 11).erasures
        assert (erasure.prosthesis_id, [end for _, end in erasure.intervals]) == ("3", [AT_MS * 1000])


def test_a_worker_that_dies_while_it_notes_a_deleted_contract_leaves_its_prosthesis(known: dict[str, Any]) -> None:
    changelog = Changelog(known)
    directory = begun(changelog, [told("customers", CUSTOMER)])
    directory.handle(ended(directory, "contract_id", 1), 10)
    for rows in changelog.passed:
        successor = begun(rows, [told("customers", CUSTOMER)])
        assert [document.prosthesis_id for document in successor.handle(ended(successor, "contract_id", 1), 10).documents] == ["3"]
        (erasure,) = successor.handle(told("customers", CUSTOMER, "d"), 11).erasures
        assert erasure.intervals

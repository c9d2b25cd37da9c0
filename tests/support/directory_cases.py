"""A customer, his contract, and what a directory is told of them."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from schemas.keys import crm_key
from schemas.mapping import SourceMapping
from stream_processor.domain.crm import CrmEnvelope, _Source
from stream_processor.domain.directory import Directory

CUSTOMER = {"customer_id": 7, "user_id": "u7", "full_name": "Seven", "timezone": "UTC"}
CONTRACT: dict[str, Any] = {
    "contract_id": 1,
    "number": "K",
    "customer_id": 7,
    "prosthesis_id": 3,
    "starts_at": "2026-01-01T00:00:00Z",
    "ends_at": None,
}
AT_MS = 1_800_000_000_000


def told(table: str, row: dict[str, Any], op: str = "c") -> CrmEnvelope:
    return CrmEnvelope(op, _Source(table, AT_MS), row if op == "d" else None, None if op == "d" else row)


def corrected(table: str, before: dict[str, Any], after: dict[str, Any]) -> CrmEnvelope:
    return CrmEnvelope("u", _Source(table, AT_MS), before, after)


def ended(directory: Directory, column: str, row_id: int, at_ms: int = AT_MS) -> CrmEnvelope:
    table = {"contract_id": "contracts", "customer_id": "customers"}[column]
    change = directory.end_of(crm_key(f"crm.{table}", column, row_id), at_ms)
    assert change is not None
    return change


def begun(table: MutableMapping[str, Any], left: list[CrmEnvelope]) -> Directory:
    """A worker that takes *table* over; *left*: what the CRM's topic still tells of the time before."""
    directory = Directory(SourceMapping.read(), table)
    directory.restore(directory.table_after(left))
    return directory

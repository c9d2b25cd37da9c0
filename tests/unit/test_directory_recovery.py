"""The directory's table is recovered by Faust behind its back, at every assignment: what it says must not depend on what it saw itself."""

from __future__ import annotations

from typing import Any

from schemas.mapping import SourceMapping
from stream_processor.domain.directory import CrmEnvelope, Directory, _Source

CUSTOMER = {"customer_id": 7, "user_id": "u7", "full_name": "Seven", "timezone": "UTC"}
CONTRACT = {
    "contract_id": 1,
    "number": "K",
    "customer_id": 7,
    "prosthesis_id": 3,
    "starts_at": "2026-01-01T00:00:00Z",
    "ends_at": None,
}


def changed(table: str, row: dict[str, Any]) -> CrmEnvelope:
    return CrmEnvelope("u", _Source(table), row, row)


def test_a_change_concerns_what_was_recovered_after_the_directory_was_made() -> None:
    table: dict[str, dict[str, Any]] = {}
    directory = Directory(SourceMapping.read(), table)
    directory.under(1)
    table |= {"customers:7": CUSTOMER, "contracts:1": CONTRACT}
    directory.under(2)
    (document,) = directory.handle(changed("customers", CUSTOMER | {"timezone": "Asia/Kolkata"}), 10).documents
    assert [(interval.user_id, interval.timezone) for interval in document.intervals] == [("u7", "Asia/Kolkata")]


def test_a_contract_that_went_while_another_worker_had_the_directory_is_forgotten() -> None:
    table: dict[str, dict[str, Any]] = {"customers:7": CUSTOMER, "contracts:1": CONTRACT}
    directory = Directory(SourceMapping.read(), table)
    directory.under(1)
    del table["contracts:1"]
    directory.under(2)
    (document,) = directory.handle(changed("prostheses", {"prosthesis_id": 3, "model": "Arm", "serial_number": "S"}), 10).documents
    assert document.intervals == ()

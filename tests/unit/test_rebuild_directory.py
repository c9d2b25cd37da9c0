"""What of a directory's table goes to the next generation, and what of it is the CRM's."""

from __future__ import annotations

import json
from typing import Any

from cli.rebuild.directory import Rows, carried, of_the_crm
from schemas.mapping import SourceMapping

CONTRACT = {"contract_id": 5, "number": "K", "customer_id": 7, "prosthesis_id": 3, "starts_at": "2026-01-01T00:00:00Z", "ends_at": None}


def table(rows: dict[str, Any]) -> Rows:
    return {json.dumps(key).encode(): json.dumps(row).encode() for key, row in rows.items()}


ROWS = table({
    "contracts:5": CONTRACT, "former:6": {"customer_id": "7"}, "held:7:3": {"customer_id": "7"}, "former-user:7:u": {"customer_id": "7"},
    "erased:7:120": {"subject": "s"},
})  # fmt: skip


def test_everything_goes_where_the_topic_is_the_same() -> None:
    assert carried(ROWS, same_topic=True) == ROWS


def test_what_was_decided_at_an_offset_of_another_topic_does_not() -> None:
    assert ROWS.keys() - carried(ROWS, same_topic=False).keys() == {b'"erased:7:120"'}


def test_rows_of_the_crm_are_known_under_the_key_that_the_connector_gives_them() -> None:
    assert of_the_crm(ROWS, SourceMapping.read().crm).by_table == {
        "contracts": {"5": (b'{"contract_id":5,"__table":"crm.crm.contracts"}', CONTRACT)}
    }

"""What of a directory's table goes to the next generation, and what of it is the CRM's."""

from __future__ import annotations

import json
from typing import Any

from cli.rebuild.directory import Rows, carried, not_carried_out, of_the_crm
from schemas.commands import Erase
from schemas.erasure import erasure_id, subject_of
from schemas.erasure_rules import ErasureRule
from schemas.mapping import SourceMapping
from stream_processor.domain.crm import CrmEnvelope, _Source
from stream_processor.domain.directory import Directory

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


def told_of_an_end() -> tuple[dict[str, Any], list[Erase]]:
    """The table of a directory that was told of a customer with two prostheses and of his end, and the commands that it sent then."""
    rows: dict[str, Any] = {}
    directory = Directory(SourceMapping.read(), rows)
    customer = {"customer_id": 7, "user_id": "u7", "full_name": "Seven", "timezone": "UTC"}
    begun = (("customers", customer), ("contracts", CONTRACT), ("contracts", CONTRACT | {"contract_id": 6, "prosthesis_id": 4}))
    for name, row in begun:
        directory.handle(CrmEnvelope("c", _Source(name, 1_800_000_000_000), None, row), 1)
    return rows, directory.handle(CrmEnvelope("d", _Source("customers", 1_800_000_001_000), customer, None), 120).erasures


def test_an_erasure_whose_commands_the_log_has_lost_is_carried_out_by_the_rebuild() -> None:
    rows, sent = told_of_an_end()
    assert len(sent) == 2
    assert not_carried_out(table(rows), []) == sent


def test_an_erasure_that_a_rule_tells_of_is_not_told_again() -> None:
    rows, (first, second) = told_of_an_end()
    rule = ErasureRule(
        first.prosthesis_id,
        erasure_id("7", 120),
        subject_of("u7"),
        first.intervals,
        first.issued_us,
        2,
        True,
        "customer deleted",
        "t",
        0,
        5,
    )
    assert not_carried_out(table(rows), [rule]) == [second]

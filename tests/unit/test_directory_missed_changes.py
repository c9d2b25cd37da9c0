"""A delete tells its row as it went: where a change before it never came (a dropped slot, a CRM that was restored), it tells what that one would have."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.commands import Erase
from schemas.erasure import subject_of
from schemas.mapping import SourceMapping
from stream_processor.domain.crm import CrmEnvelope, _Source
from stream_processor.domain.directory import Directory, Handled

AT_MS = 1_800_000_000_000
ANNA = {"customer_id": 7, "user_id": "u7", "full_name": "Seven", "timezone": "UTC"}
BORIS = {"customer_id": 8, "user_id": "u8", "full_name": "Eight", "timezone": "UTC"}
CONTRACT: dict[str, Any] = {
    "contract_id": 1, "number": "K", "customer_id": 7, "prosthesis_id": 3, "starts_at": "2026-01-01T00:00:00Z", "ends_at": None,
}  # fmt: skip
# As Debezium tells a row whose table's replica identity is its key.
BLANK = {"contract_id": 1, "number": "", "customer_id": 0, "prosthesis_id": 0, "starts_at": "1970-01-01T00:00:00Z", "ends_at": None}


def change(table: str, row: dict[str, Any], op: str = "c") -> CrmEnvelope:
    return CrmEnvelope(op, _Source(table, AT_MS), row if op == "d" else None, None if op == "d" else row)


class Told:
    """A directory that took in customers 7 and 8 and the contract, one record after the other, and goes on."""

    def __init__(self) -> None:
        self.table: dict[str, Any] = {}
        self.said: list[CrmEnvelope] = []
        self.directory = Directory(SourceMapping.read(), self.table)
        for table, row in (("customers", ANNA), ("customers", BORIS), ("contracts", CONTRACT)):
            self.say(table, row)

    def say(self, table: str, row: dict[str, Any], op: str = "c") -> Handled:
        self.said.append(change(table, row, op))
        return self.directory.handle(self.said[-1], len(self.said) - 1)

    def restart(self) -> None:
        """Another worker goes on, with the changes alone."""
        self.directory = Directory(SourceMapping.read(), {})
        self.directory.restore(self.directory.table_after(self.said))


@pytest.fixture
def told() -> Told:
    return Told()


def times(erasures: list[Erase]) -> dict[str, list[tuple[int, int]]]:
    return {erase.prosthesis_id: list(erase.intervals) for erase in erasures}


@pytest.mark.parametrize("restarted", [False, True])
def test_a_contract_is_erased_with_whom_it_was_when_it_went_and_its_former_prosthesis_with_whom_it_was_known_of(
    told: Told, restarted: bool
) -> None:
    handled = told.say("contracts", CONTRACT | {"customer_id": 8, "prosthesis_id": 4}, "d")
    assert [document.prosthesis_id for document in handled.documents] == ["3", "4"]
    if restarted:
        told.restart()
    boris = times(told.say("customers", BORIS, "d").erasures)
    assert list(boris) == ["4"]
    assert [end for _, end in boris["4"]] == [AT_MS * 1000]
    assert times(told.say("customers", ANNA, "d").erasures) == {"3": []}


def test_a_customer_who_was_another_user_when_he_went_is_erased_under_both_ids(told: Told) -> None:
    (erasure,) = told.say("customers", ANNA | {"user_id": "u7-new"}, "d").erasures
    assert (erasure.subject, erasure.former_subjects) == (subject_of("u7-new"), (subject_of("u7"),))
    assert "u7" not in str({key: row for key, row in told.table.items() if not key.startswith("erased:")})


@pytest.mark.parametrize(
    "gone",
    [
        {"contract_id": 1},
        BLANK,
        dict.fromkeys(BLANK) | {"contract_id": 1},
        CONTRACT | {"customer_id": 8, "starts_at": "nonsense"},
    ],
)
def test_a_delete_that_does_not_tell_its_row_leaves_what_was_known(told: Told, gone: dict[str, Any]) -> None:
    told.say("contracts", gone, "d")
    assert told.say("customers", BORIS, "d").erasures == []
    assert list(times(told.say("customers", ANNA, "d").erasures)) == ["3"]


def test_a_delete_of_what_is_known_says_nothing_more(told: Told) -> None:
    told.say("contracts", CONTRACT, "d")
    assert [key for key in told.table if key.startswith(("held:", "former-user:"))] == []

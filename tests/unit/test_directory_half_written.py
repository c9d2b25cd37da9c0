"""The directory's table goes to its changelog row by row: a worker may die after any of them, and its successor begins with what came through."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

import pytest

from schemas.erasure import subject_of
from stream_processor.domain.crm import CrmEnvelope
from stream_processor.domain.directory import Directory
from tests.support.directory_cases import AT_MS, CONTRACT, CUSTOMER, begun, corrected, ended, told


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


def test_a_worker_that_dies_before_it_sends_what_it_noted_leaves_the_prosthesis_that_a_contract_was_of(known: dict[str, Any]) -> None:
    """Seed 20001341: the contract's new row was in the changelog, nothing had been sent, and compaction had taken the contract's change before; nobody told its former prosthesis."""
    changelog = Changelog(known)
    people = [told("customers", CUSTOMER), told("customers", CUSTOMER | {"customer_id": 8, "user_id": "u8"})]
    moved = corrected("contracts", CONTRACT, CONTRACT | {"customer_id": 8, "prosthesis_id": 4})
    begun(changelog, people).handle(moved, 10)
    for rows in changelog.passed:
        documents = {document.prosthesis_id: document for document in begun(rows, people).handle(moved, 10).documents}
        assert documents.keys() == {"3", "4"}
        assert documents["3"].intervals == ()


LOST = CONTRACT | {"customer_id": 8, "prosthesis_id": 5}
"""What the contract was by a change that nobody was told of."""


@pytest.mark.parametrize(
    "then",
    [corrected("contracts", LOST, CONTRACT | {"customer_id": 9, "prosthesis_id": 4}), told("contracts", LOST, "d")],
    ids=["corrected", "deleted"],
)
def test_also_between_customers_none_of_whom_the_change_names(known: dict[str, Any], then: CrmEnvelope) -> None:
    """The contract was another customer's by a change that was never told, and by the next one nobody's of whom its former prosthesis had heard."""
    changelog = Changelog(known)
    people = [told("customers", CUSTOMER | {"customer_id": n, "user_id": f"u{n}"}) for n in (7, 8, 9)]
    expected = {document.prosthesis_id for document in begun(changelog, people).handle(then, 10).documents}
    assert expected >= {"3", "5"}
    for rows in changelog.passed:
        documents = {document.prosthesis_id: document for document in begun(rows, people).handle(then, 10).documents}
        assert documents.keys() == expected
        assert documents["3"].intervals == documents["5"].intervals == ()


def test_also_where_compaction_has_left_the_tombstone_alone(known: dict[str, Any]) -> None:
    people = [told("customers", CUSTOMER | {"customer_id": n, "user_id": f"u{n}"}) for n in (7, 8)]
    begun(known, people).handle(told("contracts", LOST, "d"), 10)
    successor = begun(known, people)
    assert {document.prosthesis_id for document in successor.handle(ended(successor, "contract_id", 1), 11).documents} == {"3", "5"}


def test_also_where_the_change_does_not_tell_it_and_the_customer_is_the_same(known: dict[str, Any]) -> None:
    """A change between was never told, so that the update names another prosthesis as the former one."""
    changelog = Changelog(known)
    moved = corrected("contracts", CONTRACT | {"prosthesis_id": 5}, CONTRACT | {"prosthesis_id": 4})
    begun(changelog, [told("customers", CUSTOMER)]).handle(moved, 10)
    for rows in changelog.passed:
        documents = begun(rows, [told("customers", CUSTOMER)]).handle(moved, 10).documents
        assert {document.prosthesis_id for document in documents} >= {"3", "4", "5"}


def test_an_erasure_that_was_noted_and_not_sent_is_sent_with_what_compaction_has_left_of_its_record(known: dict[str, Any]) -> None:
    """Seed 21000020: the customer's end had been decided on and its commands had not been sent; compaction took the record, and the tombstone behind it said nothing."""
    first = begun(known, [told("customers", CUSTOMER), told("contracts", CONTRACT)])
    decided = first.handle(told("customers", CUSTOMER, "d"), 10).erasures
    assert first.handle(ended(first, "customer_id", 7), 11).erasures == [], "its record was handled by this worker"
    again = begun(known, [told("customers", CUSTOMER), told("contracts", CONTRACT)])
    assert again.handle(told("customers", CUSTOMER, "d"), 10).erasures == decided
    assert again.handle(ended(again, "customer_id", 7), 11).erasures == [], "and so it was here"
    left = begun(known, []).handle(ended(first, "customer_id", 7), 11)
    assert left.erasures == decided != []
    assert [document.prosthesis_id for document in left.documents] == ["3"]


def test_a_worker_that_dies_while_it_notes_an_end_leaves_every_user_whom_the_customer_was(known: dict[str, Any]) -> None:
    """Seed 9005860: the erasure was in the changelog, former users were gone from it and the customer's row was not, when the worker ended; compaction left the tombstone alone."""
    another = CUSTOMER | {"user_id": "u8"}
    before = [told("customers", CUSTOMER), told("contracts", CONTRACT), corrected("customers", CUSTOMER, another)]
    changelog = Changelog(known)
    first = begun(changelog, before)
    changelog.passed.clear()
    first.handle(told("customers", another, "d"), 20)
    assert len(changelog.passed) > 2
    for rows in changelog.passed:
        successor = begun(rows, [told("contracts", CONTRACT)])
        erasures = successor.handle(ended(successor, "customer_id", 7), 21).erasures
        assert {subject for one in erasures for subject in (one.subject, *one.former_subjects)} == {subject_of("u7"), subject_of("u8")}


def test_the_erasure_of_a_contract_that_was_noted_and_not_sent_is_sent_with_what_compaction_has_left_of_its_record(
    known: dict[str, Any],
) -> None:
    """The contract's end, told behind its customer's, was an erasure by itself, of which nothing went out before a crash; the tombstone behind it said nothing.

    Nor did it where the worker ended before that record, and compaction took it then: the contract had gone from the table with its customer's end.
    """
    first = begun(known, [])
    end_of_customer = ended(first, "customer_id", 7)
    assert [one.intervals for one in first.handle(end_of_customer, 5).erasures] == [()], "nobody knows of the contract by then"
    changelog = Changelog(known)
    second = begun(changelog, [end_of_customer])
    decided = erased_by_the_contract(second, told("contracts", CONTRACT, "d"), 20)
    assert decided
    assert erased_by_the_contract(second, ended(second, "contract_id", 1), 21) == set(), "its record was handled by this worker"
    for rows in changelog.passed:
        successor = begun(rows, [end_of_customer])
        assert erased_by_the_contract(successor, ended(successor, "contract_id", 1), 21) == decided


def erased_by_the_contract(directory: Directory, end: CrmEnvelope, offset: int) -> set[tuple[str, str, tuple[tuple[int, int], ...]]]:
    """Prosthesis, subject and times of what the contract's *end* erases; the documents of these prostheses go out too."""
    handled = directory.handle(end, offset)
    assert {one.prosthesis_id for one in handled.erasures} <= {document.prosthesis_id for document in handled.documents}
    return {(one.prosthesis_id, one.subject, one.intervals) for one in handled.erasures}

"""A row of the CRM went while nobody had the directory, for longer than compaction waits: of its delete the tombstone is left, and says as much."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.erasure import subject_of
from stream_processor.domain.directory import Handled
from tests.support.directory_cases import AT_MS, CONTRACT, CUSTOMER, begun, ended, told


@pytest.fixture
def table() -> dict[str, Any]:
    """What a directory knew of one customer and his contract."""
    made: dict[str, Any] = {}
    begun(made, [told("customers", CUSTOMER), told("contracts", CONTRACT)])
    return made


def test_the_prosthesis_of_a_contract_hears_that_it_is_gone(table: dict[str, Any]) -> None:
    directory = begun(table, [told("customers", CUSTOMER)])
    (document,) = directory.handle(ended(directory, "contract_id", 1), 10).documents
    assert (document.prosthesis_id, document.intervals) == ("3", ())


def test_a_customer_is_erased_with_the_time_of_his_contract(table: dict[str, Any]) -> None:
    directory = begun(table, [])
    directory.handle(ended(directory, "contract_id", 1), 10)
    (erasure,) = directory.handle(ended(directory, "customer_id", 7), 11).erasures
    assert (erasure.prosthesis_id, erasure.subject, erasure.customer_gone) == ("3", subject_of("u7"), True)
    assert [end for _, end in erasure.intervals] == [AT_MS * 1000]
    assert "u7" not in str({key: row for key, row in table.items() if not key.startswith("erased:")})


def test_after_its_delete_it_says_nothing_new(table: dict[str, Any]) -> None:
    directory = begun(table, [told("customers", CUSTOMER), told("contracts", CONTRACT)])
    directory.handle(told("contracts", CONTRACT, "d"), 10)
    assert not directory.handle(ended(directory, "contract_id", 1), 11).erasures
    assert directory.handle(told("customers", CUSTOMER, "d"), 12).erasures
    assert directory.handle(ended(directory, "customer_id", 7), 13) == Handled([])


def test_it_tells_the_prosthesis_though_the_delete_was_decided_on_before_a_crash_and_never_sent(table: dict[str, Any]) -> None:
    begun(table, [told("customers", CUSTOMER), told("contracts", CONTRACT)]).handle(told("contracts", CONTRACT, "d"), 10)
    directory = begun(table, [told("customers", CUSTOMER)])
    assert [document.prosthesis_id for document in directory.handle(ended(directory, "contract_id", 1), 11).documents] == ["3"]


def test_of_a_customer_whose_end_a_tombstone_tells_nothing_is_kept_that_a_zombie_wrote_back(table: dict[str, Any]) -> None:
    directory = begun(table, [])
    left = [ended(directory, "contract_id", 1), ended(directory, "customer_id", 7)]
    directory.restore(directory.table_after(left))
    assert table == {}


@pytest.mark.parametrize("key", [None, b"", b"7", b"{", b'{"heartbeat_id":1}', b'{"erasure_request":"x"}', b'{"customer_id":7}',
            b'{"customer_id":7,"__table":"crm.crm.contracts"}', b'{"customer_id":7,"more":1,"__table":"crm.crm.customers"}'])  # fmt: skip
def test_one_of_no_row_of_the_crm_tells_nothing(key: bytes | None) -> None:
    assert begun({}, []).end_of(key, AT_MS) is None


def test_a_customers_end_tells_the_prosthesis_though_its_contract_was_decided_to_be_gone_before_a_crash(table: dict[str, Any]) -> None:
    """Seed 3000003: the contract's delete and the customer's had been decided on, and what the former led to was never sent."""
    before = begun(table, [told("customers", CUSTOMER), told("contracts", CONTRACT)])
    before.handle(told("contracts", CONTRACT, "d"), 10)
    before.handle(told("customers", CUSTOMER, "d"), 12)
    directory = begun(table, [])
    directory.handle(ended(directory, "contract_id", 1), 11)
    handled = directory.handle(ended(directory, "customer_id", 7), 12)
    assert [(document.prosthesis_id, document.intervals) for document in handled.documents] == [("3", ())]
    assert [erasure.prosthesis_id for erasure in handled.erasures] == ["3"]

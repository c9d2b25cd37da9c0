"""Bounds and ranks of contracts: what can be read is compared exactly, what cannot is never "nobody"."""

from __future__ import annotations

import json
from typing import Any

import pytest

from schemas.mapping import SourceMapping
from schemas.ownership import OwnershipDocument
from schemas.ranges import EARLIEST_US
from stream_processor.domain.contracts import rank
from stream_processor.domain.crm import decode_crm
from stream_processor.domain.directory import Directory, Handled

MAPPING = SourceMapping.read()
IDS = {"customers": "customer_id", "prostheses": "prosthesis_id", "contracts": "contract_id"}


class Crm:
    """A directory, and the changes of a CRM on their way into it."""

    def __init__(self) -> None:
        self.directory = Directory(MAPPING, {})
        self._offset = 0
        self.put("prostheses", {"prosthesis_id": 7, "model": "M", "serial_number": "S"})
        for number in (1, 2):
            self.customer(number)

    def customer(self, number: int, **columns: Any) -> Handled:
        row = {"customer_id": number, "user_id": f"user-{number}", "full_name": f"C {number}", "timezone": "UTC"}
        return self.put("customers", row | columns)

    def contract(self, number: Any, customer: int, starts_at: Any, ends_at: Any = None, prosthesis: Any = 7) -> Handled:
        row = {"contract_id": number, "number": "N", "customer_id": customer, "prosthesis_id": prosthesis}
        return self.put("contracts", row | {"starts_at": starts_at, "ends_at": ends_at})

    def put(self, table: str, row: dict[str, Any], op: str = "c") -> Handled:
        self._offset += 1
        before, after = (row, None) if op == "d" else (None, row)
        envelope = {"op": op, "before": before, "after": after, "source": {"table": table, "ts_ms": 1_800_000_000_000}}
        return self.directory.handle(decode_crm(json.dumps(envelope).encode()), self._offset)  # type: ignore[arg-type]  # it is no request

    def owners(self) -> list[tuple[str, int, int | None]]:
        return [(i.user_id, i.starts_us, i.ends_us) for i in self.directory.document("7", 0).intervals]


def sent(handled: Handled) -> list[OwnershipDocument]:
    return handled.documents


@pytest.mark.parametrize(
    "begins", ["-infinity", "-4712-01-01T00:00:00Z", "-0043-03-15T12:00:00Z", "0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z"]
)
def test_a_contract_owns_from_the_first_event_on_however_long_ago_it_began(begins: str) -> None:
    crm = Crm()
    assert crm.contract(1, 1, begins).error is None
    assert crm.owners() == [("user-1", EARLIEST_US, None)]


@pytest.mark.parametrize(
    "ends", [None, "infinity", "9999-12-31T23:59:59Z", "+12026-01-01T00:00:00Z", "+294276-12-31T23:59:59.999999Z", "2100-01-01T00:00:00Z"]
)
def test_a_contract_that_ends_after_the_last_event_is_open(ends: str | None) -> None:
    crm = Crm()
    crm.contract(1, 1, "2020-01-01T00:00:00Z", ends)
    assert crm.owners() == [("user-1", 1_577_836_800_000_000, None)]


@pytest.mark.parametrize(("begins", "ends"), [("infinity", None), ("2100-01-01T00:00:00Z", None), ("-infinity", "1999-12-31T00:00:00Z"), (None, None),
                                              ("2020-01-01T00:00:00Z", "-infinity"), ("2020-01-01T00:00:00Z", "2020-01-01T00:00:00Z")])  # fmt: skip
def test_a_contract_outside_the_time_of_events_owns_nothing_and_is_no_error(begins: str | None, ends: str | None) -> None:
    crm = Crm()
    assert crm.contract(1, 1, begins, ends).error is None
    assert crm.owners() == []


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("1950-01-01T00:00:00Z", "1960-01-01T00:00:00Z"),
        ("-infinity", "-4712-01-01T00:00:00Z"),
        ("-0043-03-15T12:00:00Z", "0001-01-01T00:00:00Z"),
    ],
)
def test_of_two_that_began_before_events_did_the_later_beginning_wins(earlier: str, later: str) -> None:
    crm = Crm()
    crm.contract(1, 1, later)
    crm.contract(2, 2, earlier)
    assert crm.owners() == [("user-1", EARLIEST_US, None)]


def test_of_contracts_that_begin_together_the_higher_id_wins_integers_by_value_below_other_texts() -> None:
    ordered = ["-10", "-9", "0", "9", "10", "007", "K-10", "K-9", "é", "٣"]
    assert sorted({*ordered}, key=lambda contract: rank(0, contract)) == ordered


@pytest.mark.parametrize("bound", [20_000, "yesterday", "2026-02-30T00:00:00Z", "2026-11-20T00:00:00+03:00", {}, True])
def test_a_bound_that_cannot_be_read_is_an_error_and_the_ownership_in_force_stays(bound: Any) -> None:
    crm = Crm()
    crm.contract(1, 1, "2020-01-01T00:00:00Z")
    handled = crm.contract(1, 1, "2020-01-01T00:00:00Z", bound)
    assert (sent(handled), handled.reason) == ([], "invalid-row")
    assert handled.error is not None
    assert "contract 1: ends_at" in handled.error
    assert sent(crm.customer(1, full_name="Another name")) == []
    mended = crm.contract(1, 1, "2020-01-01T00:00:00Z")
    assert [document.intervals[0].customer_name for document in sent(mended)] == ["Another name"]


def test_what_cannot_be_read_holds_up_no_other_prosthesis() -> None:
    crm = Crm()
    crm.contract(1, 1, "yesterday")
    crm.contract(2, 1, "2020-01-01T00:00:00Z", prosthesis=8)
    handled = crm.customer(1, full_name="Another name")
    assert [document.prosthesis_id for document in sent(handled)] == ["8"]
    assert handled.error is not None


def test_an_erasure_covers_what_an_unreadable_contract_may_have_been_but_nobody_elses() -> None:
    crm = Crm()
    crm.contract(1, 1, "yesterday")
    crm.contract(2, 2, "2020-01-01T00:00:00Z")
    handled = crm.put("customers", {"customer_id": 1, "user_id": "user-1", "full_name": "C 1", "timezone": "UTC"}, op="d")
    assert [erase.intervals for erase in handled.erasures] == [((EARLIEST_US, 1_577_836_800_000_000),)]


@pytest.mark.parametrize("prosthesis", [-5, "007", " 7", "7.0", "٧", "9223372036854775808"])
def test_a_prosthesis_whose_id_is_none_is_an_error_and_nothing_is_sent(prosthesis: Any) -> None:
    crm = Crm()
    handled = crm.contract(1, 1, "2020-01-01T00:00:00Z", prosthesis=prosthesis)
    assert sent(handled) == []
    assert handled.error is not None


def test_several_customers_who_are_one_user_have_one_time_zone_for_a_prosthesis() -> None:
    crm = Crm()
    crm.customer(1, user_id="same", timezone="Asia/Tokyo")
    crm.customer(2, user_id="same", timezone="America/New_York")
    crm.contract(1, 1, "2020-01-01T00:00:00Z", "2021-01-01T00:00:00Z")
    crm.contract(2, 2, "2021-01-01T00:00:00Z")
    assert {interval.timezone for interval in crm.directory.document("7", 0).intervals} == {"Asia/Tokyo"}

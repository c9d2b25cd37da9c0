"""What the directory sends when a customer is deleted, and that neither crash nor replay loses or changes it."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from schemas.commands import Erase
from schemas.erasure import ErasureRequest, encode_request, subject_of
from schemas.mapping import SourceMapping
from stream_processor.domain.crm import CrmEnvelope, decode_crm
from stream_processor.domain.directory import Directory, Handled
from tests.support.directory_cases import CONTRACT, CUSTOMER, begun, corrected, told

DAY = 86_400_000_000
JUNE = 1_780_272_000_000_000  # 2026-06-01 UTC
ANNA = "6f0c0f4e-59b3-4b8e-9d0a-2f60f6f0a001"
BORIS = "6f0c0f4e-59b3-4b8e-9d0a-2f60f6f0a002"


def day(number: int) -> int:
    """An instant: so many days after the first of June."""
    return JUNE + number * DAY


def iso(number: int | None) -> str | None:
    return None if number is None else f"2026-06-{number + 1:02d}T00:00:00.000000Z"


class Crm:
    """Changes as Debezium sends them, each at an offset of its own; a directory takes them in."""

    def __init__(self) -> None:
        self.table: dict[str, Any] = {}
        self.directory = Directory(SourceMapping.read(), self.table)
        self.said: list[tuple[dict[str, Any], bool]] = []

    def change(self, table: str, op: str, row: dict[str, Any], at: int = 0, *, key_changed: bool = False) -> Handled:
        """*row* comes (c, u) or goes (d), committed on day *at*."""
        rows = {"before": row, "after": None} if op == "d" else {"before": None, "after": row}
        self.said.append(({"op": op, "source": {"table": table, "ts_ms": day(at) // 1000}, **rows}, key_changed))
        return self.handle(len(self.said) - 1)

    def handle(self, offset: int) -> Handled:
        envelope, key_changed = self.said[offset]
        change = decode_crm(json.dumps(envelope).encode())
        assert isinstance(change, CrmEnvelope)
        return self.directory.handle(change, offset, key_changed=key_changed)

    def restart(self, offset: int) -> None:
        """A new worker, with the table as the changelog has it, that goes on at *offset* of the CRM's log."""
        self.directory = Directory(SourceMapping.read(), self.table)
        changes = [decode_crm(json.dumps(envelope).encode()) for envelope, _ in self.said[:offset]]
        self.directory.restore(self.directory.table_after(change for change in changes if isinstance(change, CrmEnvelope)))

    def customer(self, number: int, user: str) -> dict[str, Any]:
        row = {"customer_id": number, "user_id": user, "full_name": f"Name {number}", "timezone": "UTC"}
        self.change("customers", "c", row)
        return row

    def contract(self, number: int, customer: int, prosthesis: int, begin: int, end: int | None = None) -> dict[str, Any]:
        row = {
            "contract_id": number, "number": f"K-{number}", "customer_id": customer, "prosthesis_id": prosthesis,
            "starts_at": iso(begin), "ends_at": iso(end),
        }  # fmt: skip
        self.change("contracts", "c", row)
        return row


def times(erasures: list[Erase]) -> dict[str, tuple[tuple[int, int], ...]]:
    return {erase.prosthesis_id: erase.intervals for erase in erasures}


@pytest.fixture
def crm() -> Crm:
    return Crm()


def test_a_deleted_customer_is_erased_though_the_contracts_went_first(crm: Crm) -> None:
    anna = crm.customer(1, ANNA)
    contracts = [crm.contract(1, 1, 7, 0, 4), crm.contract(2, 1, 8, 2)]
    for contract in contracts:
        crm.change("contracts", "d", contract, 20)
    erasures = crm.change("customers", "d", anna, 20).erasures
    assert times(erasures) == {"7": ((day(0), day(4)),), "8": ((day(2), day(20)),)}
    assert {(e.subject, e.parts, e.customer_gone, e.issued_us) for e in erasures} == {(subject_of(ANNA), 2, True, day(20))}
    assert len({e.command_id for e in erasures}) == 1


def test_time_of_later_and_earlier_owners_is_not_erased(crm: Crm) -> None:
    anna = crm.customer(1, ANNA)
    crm.customer(2, BORIS)
    crm.contract(1, 2, 7, 0, 3)
    mine = crm.contract(2, 1, 7, 2)  # begins before the other has ended: the later start wins
    crm.contract(3, 2, 7, 6)
    crm.change("contracts", "d", mine, 20)
    assert times(crm.change("customers", "d", anna, 20).erasures) == {"7": ((day(2), day(6)),)}


def test_an_old_contract_that_was_left_open_does_not_inherit_the_deleted_customers_time(crm: Crm) -> None:
    """Else the former owner would see what the later one did."""
    anna = crm.customer(1, ANNA)
    crm.customer(2, BORIS)
    crm.contract(1, 2, 7, 0)
    mine = crm.contract(2, 1, 7, 5)
    crm.change("contracts", "d", mine, 20)
    assert times(crm.change("customers", "d", anna, 20).erasures) == {"7": ((day(5), day(20)),)}


def test_a_contract_withdrawn_long_before_takes_nothing_from_a_live_one(crm: Crm) -> None:
    anna = crm.customer(1, ANNA)
    crm.customer(2, BORIS)
    wrong = crm.contract(1, 1, 7, 5)
    crm.change("contracts", "d", wrong, 6)
    crm.contract(2, 2, 7, 2, 9)
    assert times(crm.change("customers", "d", anna, 20).erasures) == {"7": ((day(9), day(20)),)}


def test_a_customer_whose_contracts_were_all_corrected_to_others_is_erased_but_no_time_of_theirs(crm: Crm) -> None:
    """Reports were made under the wrong name: what is left of them has to go with the customer."""
    anna = crm.customer(1, ANNA)
    crm.customer(2, BORIS)
    contract = crm.contract(1, 1, 7, 5)
    crm.change("contracts", "u", contract | {"customer_id": 2}, 6)
    (erase,) = crm.change("customers", "d", anna, 20).erasures
    assert (erase.prosthesis_id, erase.intervals, erase.customer_gone) == ("7", (), True)
    assert [key for key in crm.table if key.startswith("held:")] == []


def test_a_customer_who_was_another_user_once_is_erased_under_both_ids(crm: Crm) -> None:
    """Reports made before the change are withdrawn under the former id, and what is left of them has to go with the customer."""
    anna = crm.customer(1, ANNA)
    crm.contract(1, 1, 7, 5)
    crm.change("customers", "u", anna | {"user_id": BORIS}, 6)
    before = copy.deepcopy(crm.table)
    (erase,) = crm.change("customers", "d", anna | {"user_id": BORIS}, 20).erasures
    assert (erase.subject, erase.former_subjects) == (subject_of(BORIS), (subject_of(ANNA),))
    assert [key for key in crm.table if key.startswith("former-user:")] == []
    assert ANNA not in str(crm.table)
    for kept in ({}, before):  # the table was never written; or a worker goes on with it
        crm.table = copy.deepcopy(kept)
        crm.restart(3)
        assert crm.handle(3).erasures == [erase]


def test_a_customer_whose_login_was_taken_away_is_erased_under_the_id_they_had(crm: Crm) -> None:
    anna = crm.customer(1, ANNA)
    crm.contract(1, 1, 7, 5)
    crm.change("customers", "u", anna | {"user_id": None}, 6)
    (erase,) = crm.change("customers", "d", anna | {"user_id": None}, 20).erasures
    assert (erase.subject, erase.former_subjects, erase.intervals) == (subject_of(ANNA), (), ((day(5), day(20)),))


def test_a_user_who_came_back_is_named_once(crm: Crm) -> None:
    anna = crm.customer(1, ANNA)
    crm.contract(1, 1, 7, 5)
    for user in (BORIS, ANNA):
        crm.change("customers", "u", anna | {"user_id": user}, 6)
    (erase,) = crm.change("customers", "d", anna, 20).erasures
    assert (erase.subject, erase.former_subjects) == (subject_of(ANNA), (subject_of(BORIS),))


def test_a_prosthesis_of_a_contract_that_was_corrected_is_among_the_erased(crm: Crm) -> None:
    anna = crm.customer(1, ANNA)
    contract = crm.contract(1, 1, 7, 5)
    moved = contract | {"prosthesis_id": 8}
    crm.change("contracts", "u", moved, 6)
    crm.change("contracts", "d", moved, 20)
    assert times(crm.change("customers", "d", anna, 20).erasures) == {"7": (), "8": ((day(5), day(20)),)}


def test_what_was_corrected_is_known_after_a_crash_and_where_the_crms_log_has_lost_it(crm: Crm) -> None:
    anna = crm.customer(1, ANNA)
    crm.customer(2, BORIS)
    contract = crm.contract(1, 1, 7, 5)
    crm.change("contracts", "u", contract | {"customer_id": 2}, 6)
    handled = copy.deepcopy(crm.table)
    first = crm.change("customers", "d", anna, 20).erasures
    assert times(first) == {"7": ()}
    for kept, lost in (({}, 0), (handled, 1)):  # the table was never written; the contract's first record is compacted away
        crm.table = copy.deepcopy(kept)
        crm.said[2 : 2 + lost] = [({"op": "m", "source": {"table": "elsewhere"}}, False)] * lost
        crm.restart(4)
        assert crm.handle(4).erasures == first


def test_a_contract_whose_number_was_given_again_is_among_the_erased_of_whom_had_it_first(crm: Crm) -> None:
    """As by a correction, no time is theirs by it any more; their reports were."""
    anna = crm.customer(1, ANNA)
    crm.customer(2, BORIS)
    crm.change("contracts", "d", crm.contract(1, 1, 7, 5), 6)
    handled = copy.deepcopy(crm.table)
    crm.contract(1, 2, 8, 9)
    first = crm.change("customers", "d", anna, 20).erasures
    assert times(first) == {"7": ()}
    crm.table = handled  # the contract came again while nobody had the directory, and compaction has taken what it was before
    crm.said[2:4] = [({"op": "m", "source": {"table": "elsewhere"}}, False)] * 2
    crm.restart(5)
    assert crm.handle(5).erasures == first


def test_handling_the_record_again_gives_the_same_commands_after_a_crash_and_though_the_table_moved_on(crm: Crm) -> None:
    anna = crm.customer(1, ANNA)
    contract = crm.contract(1, 1, 7, 0)
    crm.change("contracts", "d", contract, 20)
    first = crm.change("customers", "d", anna, 20).erasures
    offset = len(crm.said) - 1
    crm.restart(offset)
    assert crm.handle(offset).erasures == first
    crm.customer(2, BORIS)
    crm.contract(2, 2, 7, 1)
    crm.restart(offset)
    assert crm.handle(offset).erasures == first


def test_a_crash_before_the_table_was_written_loses_nothing(crm: Crm) -> None:
    anna = crm.customer(1, ANNA)
    contract = crm.contract(1, 1, 7, 0)
    crm.change("contracts", "d", contract, 20)
    before = copy.deepcopy(crm.table)
    first = crm.change("customers", "d", anna, 20).erasures
    for kept in (before, {}):  # or never: the CRM's log alone tells it for as long as it holds the deletes
        crm.table = kept
        crm.restart(len(crm.said) - 1)
        assert crm.handle(len(crm.said) - 1).erasures == first


def test_a_contract_that_was_deleted_long_ago_is_known_by_the_changelog_where_the_crms_log_has_lost_it(crm: Crm) -> None:
    anna = crm.customer(1, ANNA)
    crm.change("contracts", "d", crm.contract(1, 1, 7, 0, 5), 6)
    crm.said[1:3] = [({"op": "m", "source": {"table": "elsewhere"}}, False)] * 2  # compacted away
    crm.restart(3)
    assert times(crm.change("customers", "d", anna, 20).erasures) == {"7": ((day(0), day(5)),)}


def test_a_replay_from_the_beginning_gives_the_same_commands_and_the_same_table(crm: Crm) -> None:
    anna = crm.customer(1, ANNA)
    contracts = [crm.contract(1, 1, 7, 0), crm.contract(2, 1, 8, 0, 5)]
    for contract in contracts:
        crm.change("contracts", "d", contract, 20)
    first = crm.change("customers", "d", anna, 20).erasures
    table = copy.deepcopy(crm.table)
    again = [erase for offset in range(len(crm.said)) for erase in crm.handle(offset).erasures]
    assert again == first
    assert crm.table == table


def test_what_stays_of_a_deleted_customer_are_instants_and_numbers(crm: Crm) -> None:
    anna = crm.customer(1, ANNA)
    contract = crm.contract(1, 1, 7, 0)
    crm.change("contracts", "d", contract, 20)
    assert "Name" not in str(crm.table["former:1"])
    crm.change("customers", "d", anna, 20)
    assert [key.split(":")[0] for key in crm.table] == ["erased"]
    assert ANNA not in str(crm.table)
    assert "Name" not in str(crm.table)


def test_a_changed_primary_key_erases_nobody(crm: Crm) -> None:
    anna = crm.customer(1, ANNA)
    crm.contract(1, 1, 7, 0)
    assert crm.change("customers", "d", anna, 20, key_changed=True).erasures == []
    crm.change("customers", "c", anna | {"customer_id": 9}, 20)


def test_a_deleted_contract_alone_erases_nothing(crm: Crm) -> None:
    crm.customer(1, ANNA)
    contract = crm.contract(1, 1, 7, 0)
    assert crm.change("contracts", "d", contract, 20).erasures == []


def test_an_operators_request_erases_up_to_its_moment_and_leaves_the_customer(crm: Crm) -> None:
    crm.customer(1, ANNA)
    crm.contract(1, 1, 7, 0)
    request = decode_crm(encode_request(ErasureRequest(request_id="r", issued_us=day(10), user_id=ANNA)))
    assert isinstance(request, ErasureRequest)
    erasures = crm.directory.request(request, 50).erasures
    assert times(erasures) == {"7": ((day(0), day(10)),)}
    assert [e.customer_gone for e in erasures] == [False]
    assert crm.directory.request(request, 50).erasures == erasures
    assert crm.directory.document("7", 51).intervals[0].user_id == ANNA


def test_of_an_unknown_customer_there_is_nothing_to_erase(crm: Crm) -> None:
    request = ErasureRequest(request_id="r", issued_us=day(10), customer_id="77")
    assert crm.directory.request(request, 50) == Handled([])


@pytest.mark.parametrize("begins", ["+10000-01-01T00:00:00.000000Z", None])
@pytest.mark.parametrize("goes_first", [True, False])
def test_a_contract_that_was_corrected_to_no_time_at_all_leaves_its_prosthesis_to_the_erasure(
    begins: str | None, *, goes_first: bool
) -> None:
    """Seed 89 of `make chaos`: the reports of before had become tombstones, which name the user, and no erasure reached them."""
    directory = begun({}, [])
    empty = CONTRACT | {"starts_at": begins}
    for offset, change in enumerate([told("customers", CUSTOMER), told("contracts", CONTRACT), corrected("contracts", CONTRACT, empty)]):
        directory.handle(change, offset)
    if goes_first:
        directory.handle(told("contracts", empty, "d"), 10)
    (erasure,) = directory.handle(told("customers", CUSTOMER, "d"), 11).erasures
    assert (erasure.prosthesis_id, erasure.intervals) == ("3", ())


def in_another_topic(crm: Crm) -> Crm:
    """The CRM's topic was made anew: a directory begins with what is known, and with nothing that is told."""
    other = Crm()
    other.table = crm.table
    other.restart(0)
    return other


def test_a_contract_whose_end_is_told_after_its_customers_is_erased_too(crm: Crm) -> None:
    """Its delete was lost with the topic, the customer's came in the next one, and a rebuild told the contract's at last."""
    anna = crm.customer(1, ANNA)
    contract = crm.contract(5, 1, 3, begin=0)
    crm = in_another_topic(crm)
    assert times(crm.change("customers", "d", anna, at=9).erasures) == {"3": ()}
    (late,) = crm.change("contracts", "d", contract, at=12).erasures
    assert (late.prosthesis_id, late.intervals, late.subject, late.customer_gone) == ("3", ((day(0), day(9)),), subject_of(ANNA), True)
    assert crm.handle(1).erasures == [late]
    crm.restart(1)
    assert crm.handle(1).erasures == [late]


def test_what_is_another_customers_by_then_is_not(crm: Crm) -> None:
    anna = crm.customer(1, ANNA)
    contract = crm.contract(5, 1, 3, begin=0)
    crm = in_another_topic(crm)
    crm.change("customers", "d", anna, at=9)
    crm.customer(2, BORIS)
    crm.contract(6, 2, 3, begin=4)
    assert times(crm.change("contracts", "d", contract, at=12).erasures) == {"3": ((day(0), day(4)),)}


def test_a_contract_that_goes_behind_its_customer_is_erased_once(crm: Crm) -> None:
    """As ``ON DELETE CASCADE`` tells it."""
    anna = crm.customer(1, ANNA)
    contract = crm.contract(5, 1, 3, begin=0)
    assert times(crm.change("customers", "d", anna, at=9).erasures) == {"3": ((day(0), day(9)),)}
    assert crm.change("contracts", "d", contract, at=9).erasures == []
    crm.restart(3)
    assert crm.handle(3).erasures == []


def test_a_contract_of_nobody_who_was_erased_erases_nothing(crm: Crm) -> None:
    contract = crm.contract(5, 1, 3, begin=0)
    assert crm.change("contracts", "d", contract, at=9).erasures == []
    crm.customer(1, ANNA)
    crm.contract(5, 1, 3, begin=0)
    assert crm.change("contracts", "d", contract, at=9).erasures == []


def test_a_contract_that_is_handled_again_after_its_customers_end_erases_what_was_decided_then_and_no_more(crm: Crm) -> None:
    """It had been taken back long before him, and another's contract, which is no more either, had its time."""
    anna = crm.customer(1, ANNA)
    contract = crm.contract(5, 1, 3, begin=0)
    crm.customer(2, BORIS)
    other = crm.contract(6, 2, 3, begin=0)
    crm.change("contracts", "d", contract, at=2)
    assert times(crm.change("customers", "d", anna, at=9).erasures) == {"3": ()}
    crm.change("contracts", "d", other, at=10)
    assert crm.handle(4).erasures == []

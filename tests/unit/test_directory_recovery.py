"""What the directory says is a function of the CRM's changes: whatever its table was recovered to, and whoever wrote to the changelog last."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.erasure import subject_of
from schemas.mapping import SourceMapping
from stream_processor.domain.crm import CrmEnvelope, _Source
from stream_processor.domain.directory import Directory

CUSTOMER = {"customer_id": 7, "user_id": "u7", "full_name": "Seven", "timezone": "UTC"}
CONTRACT = {
    "contract_id": 1,
    "number": "K",
    "customer_id": 7,
    "prosthesis_id": 3,
    "starts_at": "2026-01-01T00:00:00Z",
    "ends_at": None,
}


def changed(table: str, row: dict[str, Any], op: str = "u") -> CrmEnvelope:
    return CrmEnvelope(op, _Source(table), row, None if op == "d" else row)


BEFORE = [changed("customers", CUSTOMER, "c"), changed("contracts", CONTRACT, "c")]


def test_a_change_concerns_what_another_worker_was_told() -> None:
    """This worker's table was recovered behind its back, or not at all."""
    directory = Directory(SourceMapping.read(), {})
    directory.restore(directory.table_after(BEFORE))
    (document,) = directory.handle(changed("customers", CUSTOMER | {"timezone": "Asia/Kolkata"}), 10).documents
    assert [(interval.user_id, interval.timezone) for interval in document.intervals] == [("u7", "Asia/Kolkata")]


def test_a_row_that_a_zombie_wrote_back_is_not_believed() -> None:
    table: dict[str, dict[str, Any]] = {"customers:7": CUSTOMER | {"timezone": "Asia/Kolkata"}, "contracts:1": CONTRACT}
    directory = Directory(SourceMapping.read(), table)
    directory.restore(directory.table_after(BEFORE))
    (document,) = directory.handle(changed("prostheses", {"prosthesis_id": 3, "model": "Arm", "serial_number": "S"}), 10).documents
    assert [interval.timezone for interval in document.intervals] == ["UTC"]


def test_a_contract_that_went_while_another_worker_had_the_directory_is_forgotten() -> None:
    table: dict[str, dict[str, Any]] = {"customers:7": CUSTOMER, "contracts:1": CONTRACT}
    directory = Directory(SourceMapping.read(), table)
    directory.restore(directory.table_after([*BEFORE, changed("contracts", CONTRACT, "d")]))
    (document,) = directory.handle(changed("prostheses", {"prosthesis_id": 3, "model": "Arm", "serial_number": "S"}), 10).documents
    assert document.intervals == ()


def test_only_rows_that_differ_are_written() -> None:
    written: list[str] = []

    class Table(dict[str, dict[str, Any]]):
        def __setitem__(self, key: str, row: dict[str, Any]) -> None:
            written.append(key)
            super().__setitem__(key, row)

    directory = Directory(SourceMapping.read(), Table({"customers:7": CUSTOMER}))
    directory.restore(directory.table_after(BEFORE))
    assert written == ["contracts:1"]


def test_the_prosthesis_that_a_contract_was_of_hears_of_its_change_though_compaction_took_what_lay_between() -> None:
    """Two changes of one contract while nobody had the directory: the first is gone from the log, with the row as it was before."""
    table: dict[str, dict[str, Any]] = {}
    before = Directory(SourceMapping.read(), table)
    before.restore(before.table_after(BEFORE))
    after = Directory(SourceMapping.read(), table)
    after.restore(after.table_after(BEFORE[:1]))
    moved = CONTRACT | {"prosthesis_id": 4}
    told = after.handle(CrmEnvelope("u", _Source("contracts"), moved, moved | {"number": "L"}), 10).documents
    assert {document.prosthesis_id: len(document.intervals) for document in told} == {"3": 0, "4": 1}


def told_apart(told: list[CrmEnvelope], *rest: tuple[list[CrmEnvelope], CrmEnvelope]) -> Directory:
    """A directory that was told *told*; then nobody had it, and workers began one after another: each with what the log still had, and the change that it handled."""
    table: dict[str, dict[str, Any]] = {}
    directory = Directory(SourceMapping.read(), table)
    directory.restore(directory.table_after(told))
    for i, (left, change) in enumerate(rest):
        directory = Directory(SourceMapping.read(), table)
        directory.restore(directory.table_after(left))
        directory.handle(change, 10 + i)
    return directory


def became(user: str, before: str) -> CrmEnvelope:
    return CrmEnvelope("u", _Source("customers"), CUSTOMER | {"user_id": before}, CUSTOMER | {"user_id": user})


def erased_subjects(directory: Directory, last_user: str) -> set[str]:
    gone = CrmEnvelope("d", _Source("customers", 1_800_000_000_000), CUSTOMER | {"user_id": last_user}, None)
    erasures = directory.handle(gone, 99).erasures
    return {subject for erase in erasures for subject in (erase.subject, *erase.former_subjects)}


NOTHING = changed("prostheses", {"prosthesis_id": 3, "model": "Arm", "serial_number": "S"})


@pytest.mark.parametrize(
    "begun",
    [
        pytest.param([([BEFORE[1]], became("u9", "u8"))], id="the last change is handled first"),
        pytest.param([([BEFORE[1]], NOTHING), ([BEFORE[1]], became("u9", "u8"))], id="a worker ended before it came to the change"),
        pytest.param([([BEFORE[1], became("u9", "u8")], NOTHING)], id="the change lies before the first that is handled"),
    ],
)
def test_a_customer_who_was_two_others_is_erased_under_all_ids_though_compaction_took_the_first_change(
    begun: list[tuple[list[CrmEnvelope], CrmEnvelope]],
) -> None:
    assert erased_subjects(told_apart(BEFORE, *begun), "u9") == {subject_of(user) for user in ("u7", "u8", "u9")}


def test_what_is_remembered_of_a_customer_whose_last_change_is_still_to_come_stays() -> None:
    directory = told_apart([*BEFORE, became("u8", "u7")], ([BEFORE[1]], NOTHING))
    assert erased_subjects(directory, "u8") == {subject_of("u7"), subject_of("u8")}


def test_the_prosthesis_of_a_contract_hears_of_its_change_though_compaction_took_its_customers_former_row_too() -> None:
    moved = CONTRACT | {"prosthesis_id": 4}
    directory = told_apart(BEFORE, ([], NOTHING), ([], NOTHING))
    told = directory.handle(CrmEnvelope("u", _Source("contracts"), moved, moved | {"number": "L"}), 20).documents
    assert {document.prosthesis_id for document in told} == {"3", "4"}


def test_a_customer_is_erased_where_a_contract_was_of_though_compaction_took_how_it_ended() -> None:
    """While nobody had the directory the contract was given to somebody else, twice, and the customer went: the contract's last change lies behind the customer's."""
    assert erased_subjects(told_apart(BEFORE, ([BEFORE[0]], NOTHING)), "u7") == {subject_of("u7")}


def test_of_a_customer_whose_end_the_log_tells_nothing_is_kept_that_a_zombie_wrote_back() -> None:
    table: dict[str, dict[str, Any]] = {}
    directory = Directory(SourceMapping.read(), table)
    directory.restore(directory.table_after([*BEFORE, became("u8", "u7")]))
    assert "u7" in str(table)
    directory.restore(directory.table_after([changed("customers", CUSTOMER, "c"), CrmEnvelope("d", _Source("customers"), CUSTOMER, None)]))
    assert "u7" not in str(table)
    assert "u8" not in str(table)


def test_a_customer_whose_last_change_is_still_to_come_stays_known() -> None:
    """Where the topic is lost before that change, a rebuild has nobody else to ask who was there."""
    table: dict[str, dict[str, Any]] = {}
    first = Directory(SourceMapping.read(), table)
    first.restore(first.table_after(BEFORE))
    second = Directory(SourceMapping.read(), table)
    second.restore(second.table_after(BEFORE[1:]))
    assert table["customers:7"] == CUSTOMER


@pytest.mark.parametrize("told", [[*BEFORE, changed("customers", CUSTOMER, "d")], [changed("customers", CUSTOMER, "d")]])
def test_a_customer_whose_end_was_told_does_not(told: list[CrmEnvelope]) -> None:
    table: dict[str, dict[str, Any]] = {"customers:7": CUSTOMER}
    directory = Directory(SourceMapping.read(), table)
    directory.restore(directory.table_after(told))
    assert "customers:7" not in table

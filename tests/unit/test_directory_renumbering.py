"""A customer whose number changes in the CRM is one person to an erasure: what was remembered of him under the former number goes with him."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

import pytest

from schemas.erasure import subject_of
from stream_processor.domain.crm import CrmEnvelope
from stream_processor.domain.directory import Directory
from tests.support.directory_cases import CONTRACT, CUSTOMER, begun, corrected, ended, told

ANOTHER = CUSTOMER | {"user_id": "u8"}
RENUMBERED = ANOTHER | {"customer_id": 9}
DELETED = CONTRACT | {"contract_id": 2, "prosthesis_id": 4}
NEW_KEY = b'{"customer_id":9}'


def known(rows: MutableMapping[str, Any]) -> Directory:
    """A customer with a contract, who was another user before, had another prosthesis by a contract that was corrected, and a third one by one that was deleted."""
    directory = begun(rows, [])
    changes = [
        told("customers", CUSTOMER),
        told("contracts", CONTRACT | {"prosthesis_id": 5}),
        corrected("contracts", CONTRACT | {"prosthesis_id": 5}, CONTRACT),
        told("contracts", DELETED),
        told("contracts", DELETED, "d"),
        corrected("customers", CUSTOMER, ANOTHER),
    ]
    for offset, change in enumerate(changes):
        directory.handle(change, offset)
    return directory


def renumber(directory: Directory) -> None:
    """As Debezium tells it, and PostgreSQL's ``ON UPDATE CASCADE`` after it."""
    for offset, (change, headers) in enumerate(
        [
            (told("customers", ANOTHER, "d"), {"key_changed": True, "new_key": NEW_KEY}),
            (ended(directory, "customer_id", 7), {"key_changed": True, "new_key": NEW_KEY}),
            (told("customers", RENUMBERED), {}),
            (corrected("contracts", CONTRACT, CONTRACT | {"customer_id": 9}), {}),
        ]
    ):
        assert directory.handle(change, 10 + offset, **headers).erasures == []  # type: ignore[arg-type]


def erased(directory: Directory, end: CrmEnvelope) -> tuple[set[str], set[str]]:
    """Prostheses and subjects of the erasure that *end* leads to."""
    erasures = directory.handle(end, 30).erasures
    return {one.prosthesis_id for one in erasures}, {subject for one in erasures for subject in (one.subject, *one.former_subjects)}


ALL = {"3", "4", "5"}, {subject_of("u7"), subject_of("u8")}


def test_all_that_was_his_under_the_former_number_goes_with_him() -> None:
    directory = known({})
    renumber(directory)
    assert erased(directory, told("customers", RENUMBERED, "d")) == ALL


def test_so_it_does_after_a_restart_and_where_he_became_another_user_since() -> None:
    rows: dict[str, Any] = {}
    renumber(known(rows))
    left = [told("contracts", CONTRACT | {"customer_id": 9}), told("customers", RENUMBERED | {"user_id": "u9"})]
    assert erased(begun(rows, left), told("customers", RENUMBERED | {"user_id": "u9"}, "d")) == (ALL[0], ALL[1] | {subject_of("u9")})


def test_where_compaction_has_left_the_tombstone_of_the_former_number_alone() -> None:
    rows: dict[str, Any] = {}
    known(rows)
    directory = begun(rows, [told("contracts", CONTRACT)])
    directory.handle(ended(directory, "customer_id", 7), 20, key_changed=True, new_key=NEW_KEY)
    directory.handle(told("customers", RENUMBERED), 21)
    assert erased(directory, told("customers", RENUMBERED, "d"))[1] == ALL[1]


@pytest.mark.parametrize("new_key", [None, b"Struct{customer_id=9}", b"{}", b'{"customer_id":null}'])
def test_a_header_that_does_not_tell_the_number_ends_nobody(new_key: bytes | None) -> None:
    directory = known({})
    assert directory.handle(told("customers", ANOTHER, "d"), 10, key_changed=True, new_key=new_key).erasures == []


def test_what_is_told_of_the_former_number_afterwards_is_his_too() -> None:
    """Seed 28: nobody was told that a contract of his had become another's before his number changed; the row was read again after it."""
    directory = known({})
    renumber(directory)
    other = told("contracts", CONTRACT | {"contract_id": 6, "prosthesis_id": 6})
    gone = told("contracts", CONTRACT | {"contract_id": 8, "prosthesis_id": 8}, "d")
    corrections = [
        other,
        corrected("contracts", CONTRACT | {"contract_id": 6, "prosthesis_id": 6}, CONTRACT | {"contract_id": 6, "customer_id": 1}),
        gone,
    ]
    for offset, change in enumerate(corrections):
        directory.handle(change, 20 + offset)
    assert erased(directory, told("customers", RENUMBERED, "d")) == (ALL[0] | {"6", "8"}, ALL[1])


def test_he_is_known_under_the_new_number_before_that_is_told() -> None:
    """Seed 90006389 of the mix brief: the topic was lost before; a rebuild asks the CRM for the customers whom the directory knows."""
    rows: dict[str, Any] = {}
    directory = known(rows)
    directory.handle(told("customers", ANOTHER, "d"), 10, key_changed=True, new_key=NEW_KEY)
    assert rows["customers:9"] == RENUMBERED
    assert "customers:7" not in rows
    renumber(directory)
    begun(rows, [told("contracts", CONTRACT)])
    assert rows["customers:9"] == RENUMBERED


def test_a_number_that_changes_twice() -> None:
    directory = known({})
    renumber(directory)
    last = RENUMBERED | {"customer_id": 11}
    directory.handle(told("customers", RENUMBERED, "d"), 20, key_changed=True, new_key=b'{"customer_id":11}')
    directory.handle(told("customers", last), 21)
    directory.handle(corrected("contracts", CONTRACT | {"customer_id": 9}, CONTRACT | {"customer_id": 11}), 22)
    directory.handle(told("contracts", CONTRACT | {"contract_id": 8, "prosthesis_id": 8}, "d"), 23)
    assert erased(directory, told("customers", last, "d")) == (ALL[0] | {"8"}, ALL[1])


def test_a_key_of_which_another_part_changed_leaves_everything_where_it_is() -> None:
    directory = known({})
    directory.handle(told("customers", ANOTHER, "d"), 10, key_changed=True, new_key=b'{"customer_id":7,"tenant":2}')
    directory.handle(told("customers", ANOTHER), 11)
    assert erased(directory, told("customers", ANOTHER, "d")) == ALL


def test_the_former_number_may_be_given_to_somebody_else() -> None:
    directory = known({})
    renumber(directory)
    other = CUSTOMER | {"user_id": "other"}
    directory.handle(told("customers", other), 20)
    assert directory.handle(told("customers", other, "d"), 21).erasures == []
    assert erased(directory, told("customers", RENUMBERED, "d")) == ALL

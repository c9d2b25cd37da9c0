"""The demo's people and their past."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

from simulator.demo_data import CONTRACTS, CUSTOMERS, PROSTHESES, SUPPORT, USERS
from simulator.history import contract_times, history

NOW = datetime(2026, 11, 23, 13, 30, tzinfo=UTC)
IDS = {prosthesis.serial_number: number for number, prosthesis in enumerate(PROSTHESES, 1)}


def test_logins_user_ids_and_serial_numbers_are_unique() -> None:
    assert len({user.login for user in USERS}) == len({user.user_id for user in USERS}) == len(USERS)
    assert len(IDS) == len(PROSTHESES)
    assert SUPPORT not in [customer.user for customer in CUSTOMERS]


def test_contracts_name_known_people_and_prostheses() -> None:
    assert {contract.login for contract in CONTRACTS} == {customer.user.login for customer in CUSTOMERS}
    assert {contract.serial_number for contract in CONTRACTS} == set(IDS)


def test_somebody_wears_two_prostheses_and_one_prosthesis_changed_hands_within_the_history() -> None:
    today = Counter(contract.login for contract in CONTRACTS if contract.ends is None)
    assert max(today.values()) == 2
    owners = {serial: {c.login for c in CONTRACTS if c.serial_number == serial} for serial in IDS}
    (changed,) = [serial for serial, logins in owners.items() if len(logins) > 1]
    assert all((c.ends or 0) < 90 for c in CONTRACTS if c.serial_number == changed)


def test_history_is_what_was_recorded_under_a_contract_and_received_by_now() -> None:
    spans = {}
    for contract in CONTRACTS:
        spans.setdefault(IDS[contract.serial_number], []).append(contract_times(contract, NOW))
    rows = list(history(IDS, NOW, days=40))
    for row in rows:
        assert NOW - timedelta(days=40) <= row.recorded_at <= row.received_at <= NOW
        assert any(starts <= row.recorded_at < (ends or NOW) for starts, ends in spans[row.prosthesis_id])
    assert {row.prosthesis_id for row in rows} == set(IDS.values())


def test_some_of_the_history_was_uploaded_days_late() -> None:
    assert any(row.received_at - row.recorded_at > timedelta(days=1) for row in history(IDS, NOW, days=60))


def test_ninety_days_are_quick_to_load() -> None:
    assert 80_000 < sum(1 for _ in history(IDS, NOW, days=90)) < 150_000

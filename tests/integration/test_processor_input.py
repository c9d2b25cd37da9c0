"""What the real processor does with what it should never have been sent: nothing is lost, nothing counts that must not, and it goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from schemas import limits
from schemas.keys import CRM_TOPIC, LOG_TOPIC, partition_of, prosthesis_key
from schemas.topics import log_partitions
from tests.support.poisoned import POISON_NAME, POISON_UV
from tests.support.processor import ProcessorProcess, real_processor, until
from tests.support.processor_case import Case
from tests.support.processor_records import DeadLetter, Records
from tests.support.system import System

EXAMPLE = Path(__file__).parents[2] / "schemas" / "examples" / "prosthesis.log" / "insert_signal.json"
TOO_MANY = 200  # contracts of one prosthesis, for the poisoned processor's small limit
NEVER_AN_ID = 9_000_000_000_000
TOO_FAR = datetime.now(UTC) + timedelta(days=10)

BAD_ROWS: dict[str, dict[str, Any]] = {
    "a-kind-that-nobody-knows": {"kind": "dance"},
    "no-kind": {"kind": None},
    "a-battery-beyond-full": {"kind": "battery", "battery_percent": 250},
    "a-battery-without-a-value": {"kind": "battery"},
    "a-negative-activity": {"kind": "signal", "amplitude_uv": 1, "movement_recognised": True, "active_ms": -1},
    "no-time": {"recorded_at": None},
    "a-time-in-the-far-future": {"recorded_at": TOO_FAR},
    "an-infinite-time": {"recorded_at": "infinity"},
    "a-time-that-the-mart-cannot-hold": {"recorded_at": datetime(2110, 6, 1, tzinfo=UTC), "received_at": datetime(2110, 6, 1, tzinfo=UTC)},
    "a-time-before-christ": {"recorded_at": "0044-03-15 12:00Z BC"},
    "a-position-beyond-arithmetic": {"kind": "location", "latitude": 1e308, "longitude": 2.0},
    "a-position-that-is-no-number": {"kind": "location", "latitude": float("nan"), "longitude": 2.0},
}
NO_ENVELOPES = {
    "no-json": b"\x00\xff this is no JSON",
    "other-json": b'{"hello": "world"}',
    "no-object": b"[1, 2, 3]",
    "empty": b"",
}


@pytest.fixture(scope="module")
def processor(pipe: System, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessorProcess]:
    """It fails at an event, and at a customer, that no other test has (tests/support/poisoned.py)."""
    with real_processor(pipe, tmp_path_factory.mktemp("processor"), "tests.support.poisoned") as started:
        yield started


@pytest.fixture(scope="module")
def case(pipe: System, processor: ProcessorProcess) -> Iterator[Case]:
    """As many prostheses as a test can want, none owned."""
    found = Case(pipe, number=1, prostheses=45)
    yield found
    found.close()


@pytest.fixture(scope="module")
def fresh(case: Case) -> Iterator[int]:
    return iter(case.prostheses)


@pytest.fixture
def unowned(fresh: Iterator[int]) -> int:
    """A prosthesis that no test has used."""
    return next(fresh)


@pytest.fixture
def prosthesis(case: Case, unowned: int) -> int:
    """One with an owner."""
    case.own(unowned)
    return unowned


@pytest.fixture
def records(pipe: System) -> Iterator[Records]:
    found = Records(pipe)
    yield found
    found.close()


def count_of(case: Case, prosthesis: int) -> int:
    """Events that count in the prosthesis's reports."""
    return sum(row["event_count"] for row in case.reports() if row["prosthesis_id"] == str(prosthesis))


def becomes(case: Case, prosthesis: int, count: int) -> None:
    until(lambda: count_of(case, prosthesis) == count, lambda: f"{count_of(case, prosthesis)} events count for {prosthesis}, not {count}")


def is_of_row(letter: DeadLetter, event_id: int) -> bool:
    return f'"event_id":{event_id},'.encode() in (letter.value or b"")


@pytest.mark.parametrize("row", BAD_ROWS.values(), ids=BAD_ROWS)
def test_a_row_that_is_invalid_is_a_dead_letter_as_it_came_and_the_next_one_counts(
    case: Case, prosthesis: int, records: Records, row: dict[str, Any]
) -> None:
    case.insert(prosthesis)
    bad = case.insert(prosthesis, **row)
    case.insert(prosthesis)
    letter = records.wait_for_dead_letter(lambda letter: is_of_row(letter, bad))
    assert letter.reason == "invalid-row"
    assert letter.error
    assert (letter.topic, letter.partition) == (LOG_TOPIC, partition_of(prosthesis_key(prosthesis), log_partitions()))
    assert (letter.key, letter.value) == records.original(letter)
    becomes(case, prosthesis, 2)
    assert [found for found in records.dead_letters_of(prosthesis) if not is_of_row(found, bad)] == []


@pytest.mark.parametrize("value", NO_ENVELOPES.values(), ids=NO_ENVELOPES)
def test_a_message_that_is_no_envelope_is_a_dead_letter_as_it_came_and_the_next_row_counts(
    case: Case, prosthesis: int, records: Records, value: bytes
) -> None:
    records.produce(prosthesis, value)
    letter = records.wait_for_dead_letter(lambda letter: letter.key == prosthesis_key(prosthesis))
    assert letter.reason in {"not-an-envelope", "empty"}
    assert letter.value == value
    assert (letter.key, letter.value) == records.original(letter)
    case.insert(prosthesis)
    becomes(case, prosthesis, 1)


def test_telemetry_of_a_prosthesis_that_nobody_owns_waits_and_counts_once_the_owner_appears(
    case: Case, unowned: int, records: Records
) -> None:
    event = case.insert(unowned)
    raw = "SELECT count() FROM bionicpro_g1.telemetry_events FINAL WHERE prosthesis_id = %(of)s AND event_id_lo = %(id)s AND deleted = 0"
    until(lambda: case.auditor.execute(raw, {"of": str(unowned), "id": event}) == [(1,)], "raw has the event")
    assert count_of(case, unowned) == 0
    case.own(unowned)
    becomes(case, unowned, 1)
    assert records.dead_letters_of(unowned) == []


def test_records_of_an_aborted_transaction_are_never_seen_and_those_of_a_committed_one_are(
    case: Case, prosthesis: int, records: Records
) -> None:
    case.insert(prosthesis)
    becomes(case, prosthesis, 1)
    records.produce(prosthesis, believable(case, prosthesis), commit=False)
    records.produce(prosthesis, b"aborted, and no envelope", commit=False)
    records.produce(prosthesis, b"committed, and no envelope")
    # One partition is one order: once the last one is dealt with, those before it were.
    records.wait_for_dead_letter(lambda letter: letter.value == b"committed, and no envelope")
    assert [letter.value for letter in records.dead_letters_of(prosthesis)] == [b"committed, and no envelope"]
    case.insert(prosthesis)
    becomes(case, prosthesis, 2)


def test_the_same_record_counts_where_its_transaction_was_committed(pipe: System, processor: ProcessorProcess, records: Records) -> None:
    # In days of its own: PostgreSQL does not know the event, and a comparison would say so.
    apart = Case(pipe, number=2)
    (prosthesis,) = apart.prostheses
    apart.own(prosthesis)
    records.produce(prosthesis, believable(apart, prosthesis))
    becomes(apart, prosthesis, 1)
    apart.close()


def test_a_restart_after_an_aborted_transaction_goes_on(processor: ProcessorProcess, case: Case, prosthesis: int, records: Records) -> None:
    case.insert(prosthesis)
    becomes(case, prosthesis, 1)
    records.produce(prosthesis, b"aborted, at the end of the log", commit=False)
    processor.kill()
    processor.start()
    case.insert(prosthesis)
    becomes(case, prosthesis, 2)


def test_a_record_that_makes_every_batch_fail_is_poison_and_counts_once_it_is_corrected(
    case: Case, prosthesis: int, records: Records
) -> None:
    with case.telemetry.transaction():  # one batch, as likely as not
        before, poison, after = (case.insert(prosthesis, amplitude_uv=value) for value in (1, POISON_UV, 2))
    letter = records.wait_for_dead_letter(lambda letter: is_of_row(letter, poison))
    assert (letter.reason, letter.error) == ("poison", "OverflowError: an event that cannot be written")
    becomes(case, prosthesis, 2)
    assert not any(is_of_row(found, event) for found in records.dead_letters_of(prosthesis) for event in (before, after))
    case.telemetry.execute("UPDATE telemetry.telemetry_events SET amplitude_uv = 3 WHERE event_id = %s", (poison,))
    becomes(case, prosthesis, 3)


def test_a_change_of_the_crm_that_the_directory_fails_at_is_poison_and_the_next_one_is_handled(
    case: Case, prosthesis: int, records: Records
) -> None:
    case.insert(prosthesis)
    becomes(case, prosthesis, 1)
    rename = "UPDATE crm.customers SET full_name = %s WHERE customer_id = %s"
    case.crm.execute(rename, (POISON_NAME, prosthesis))
    letter = records.wait_for_dead_letter(lambda letter: letter.topic == CRM_TOPIC and f'"{POISON_NAME}"'.encode() in (letter.value or b""))
    assert (letter.reason, letter.error) == ("poison", "OverflowError: a customer that cannot be handled")
    assert names_of(case, prosthesis) == {"P"}
    case.crm.execute(rename, ("Cured", prosthesis))
    until(lambda: names_of(case, prosthesis) == {"Cured"}, "the next change is handled")


def test_an_ownership_too_large_for_a_message_is_a_dead_letter_and_the_prosthesis_keeps_its_reports(
    case: Case, prosthesis: int, records: Records
) -> None:
    case.insert(prosthesis)
    becomes(case, prosthesis, 1)
    first = TOO_MANY * (prosthesis + 1)
    case.crm.execute(
        "INSERT INTO crm.contracts (contract_id, number, customer_id, prosthesis_id, starts_at, ends_at)"
        " SELECT %(first)s + n, repeat('N', 60), %(p)s, %(p)s, '2001-01-01'::timestamptz + n * interval '1 h', '2001-01-01'::timestamptz + (n + 1) * interval '1 h'"
        " FROM generate_series(1, %(count)s) AS n",
        {"first": first, "p": prosthesis, "count": TOO_MANY},
    )
    records.wait_for_dead_letter(lambda letter: letter.reason == "ownership-too-large" and f"of prosthesis {prosthesis} " in letter.error)
    case.insert(prosthesis)
    becomes(case, prosthesis, 2)
    case.crm.execute("DELETE FROM crm.contracts WHERE contract_id BETWEEN %s AND %s", (first, first + TOO_MANY))


def test_a_record_too_large_for_its_dead_letter_is_cut_there_and_the_next_row_counts(case: Case, prosthesis: int, records: Records) -> None:
    value = f"too large {prosthesis}".encode().ljust(limits.DEAD_LETTER + 100_000, b".")
    records.produce(prosthesis, value)
    letter = records.wait_for_dead_letter(lambda letter: letter.key == prosthesis_key(prosthesis))
    assert (letter.truncated, letter.sha256) == ("value", hashlib.sha256(value).hexdigest())
    assert value.startswith(letter.value or b"")
    assert len(letter.value or b"") > limits.LOG_MESSAGE
    assert records.original(letter) == (letter.key, value)
    case.insert(prosthesis)
    becomes(case, prosthesis, 1)


@pytest.mark.parametrize(
    ("starts_at", "ends_at", "owns"),
    [
        ("-infinity", None, True),
        ("0044-03-15 00:00Z BC", "infinity", True),
        ("1969-12-31 23:59:59.999999Z", "294276-12-31 23:59Z", True),
        ("10000-01-01 00:00Z", "infinity", False),
        ("infinity", None, False),
        ("-infinity", "0001-01-01 00:00Z BC", False),
    ],
)
def test_a_contract_whose_bounds_no_event_can_have_owns_what_they_say(
    case: Case, prosthesis: int, starts_at: str, ends_at: str | None, owns: bool
) -> None:
    case.insert(prosthesis)
    becomes(case, prosthesis, 1)
    case.crm.execute(
        "UPDATE crm.contracts SET starts_at = %s, ends_at = %s, number = 'Bounds' WHERE contract_id = %s", (starts_at, ends_at, prosthesis)
    )
    until(
        lambda: [row["contract_number"] for row in case.reports() if row["prosthesis_id"] == str(prosthesis)] == ["Bounds"] * owns,
        f"the contract owns: {owns}",
    )


def test_an_event_whose_id_changes_counts_once_and_under_its_new_id(pipe: System, case: Case, prosthesis: int) -> None:
    """Debezium tells it as a delete and a create, at one LSN: its key has the id too."""
    event, _ = case.insert(prosthesis, amplitude_uv=7), case.insert(prosthesis)
    assert case.verify().ok
    with psycopg.connect(**dict[str, Any](pipe.postgres.conninfo("telemetry", "postgres")), autocommit=True) as owner:
        found = owner.execute(
            "UPDATE telemetry.telemetry_events SET event_id = DEFAULT WHERE event_id = %s RETURNING event_id", (event,)
        ).fetchone()
        assert found is not None
        assert case.verify().ok
        owner.execute("DELETE FROM telemetry.telemetry_events WHERE event_id = %s", found)
    assert case.verify().ok


def test_after_all_of_it_the_reports_are_those_of_postgresql(case: Case, prosthesis: int) -> None:
    case.insert(prosthesis)
    result = case.verify()
    assert result.ok, result.as_json()


def names_of(case: Case, prosthesis: int) -> set[str]:
    return {row["customer_name"] for row in case.reports() if row["prosthesis_id"] == str(prosthesis)}


def believable(case: Case, prosthesis: int) -> bytes:
    """An insert as the connector writes it, of an event that PostgreSQL does not have."""
    envelope = json.loads(EXAMPLE.read_text(encoding="utf-8"))["value"]
    envelope["after"] |= {
        "event_id": NEVER_AN_ID + prosthesis,
        "prosthesis_id": prosthesis,
        "recorded_at": f"{case.at(1):%Y-%m-%dT%H:%M:%SZ}",
    }
    return json.dumps(envelope).encode()

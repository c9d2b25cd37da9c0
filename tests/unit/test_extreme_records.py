"""Records whose numbers no source, clock or log has: dead letters before the first effect, and what stands beside them counts."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import msgspec
import pytest

from schemas.commands import Recompute, decode_command, encode_command
from schemas.keys import partition_of
from schemas.ownership import decode as decode_document
from tests.support.log_model import PARTITIONS, LogRecord, Sources
from tests.support.memory_store import MemoryStore
from tests.unit.test_engine_scenarios import BATTERY, engine, owned, records

BEYOND = (1 << 62, 1 << 63, 1 << 64, 1 << 70, -1, -(1 << 63))
INTERVAL: dict[str, Any] = {"starts_us": 0, "ends_us": None, "user_id": "u", "customer_id": "c", "customer_name": "", "timezone": "UTC", "contract_id": "1",
                            "contract_number": ""}  # fmt: skip


def changed(record: Any, **source: int) -> LogRecord:
    envelope = json.loads(record.value)
    envelope["source"] |= source
    return LogRecord(record.partition, record.offset, record.key, json.dumps(envelope).encode())


@pytest.mark.parametrize("field", ["ts_ms", "lsn"])
@pytest.mark.parametrize("number", [number for number in BEYOND if number != 1 << 62])
def test_an_envelope_from_beyond_time_or_log_is_a_dead_letter_and_its_neighbour_counts(field: str, number: int) -> None:
    sources, store = owned(), MemoryStore()
    sources.insert(BATTERY)
    sources.insert(BATTERY)
    log = records(sources)
    outcome = engine(store).process([*log[:-2], changed(log[-2], **{field: number}), log[-1]], epoch=1)
    assert [dead.reason for dead in outcome.dead] == ["not-an-envelope"]
    assert [report["event_count"] for report in store.live_reports().values()] == [1]


@pytest.mark.parametrize("number", [1 << 64, 1 << 70, -1])
def test_a_command_with_an_id_of_no_event_is_none(number: int) -> None:
    command = {"type": "delete", "command_id": "a", "prosthesis_id": "1", "event_ids": [[0, number]], "reason": ""}
    with pytest.raises(msgspec.ValidationError):
        decode_command(json.dumps(command).encode())


@pytest.mark.parametrize("number", [1 << 62, 1 << 63, 1 << 70, -(1 << 63)])
def test_a_document_with_an_instant_beyond_arithmetic_is_none(number: int) -> None:
    for field in ("starts_us", "ends_us"):
        document = {
            "type": "ownership",
            "prosthesis_id": "1",
            "crm_offset": 1,
            "model": "",
            "serial_number": "",
            "intervals": [INTERVAL | {field: number}],
        }
        with pytest.raises(msgspec.ValidationError):
            decode_document(json.dumps(document).encode())


def test_a_recompute_of_all_time_computes_the_days_that_reports_can_have() -> None:
    sources, store = owned(), MemoryStore()
    sources.insert(BATTERY)
    log = records(sources)
    command = Recompute(
        command_id="a", prosthesis_id="1", from_date=date.min, to_date=date.max, reports=(("u", date.max), ("u", date.min)), reason="all"
    )
    place = partition_of(b"1", PARTITIONS)
    engine(store).process([*log, LogRecord(place, max(record.offset for record in log) + 1, b"1", encode_command(command))], epoch=1)
    assert store.live_reports() == sources.mart()
    assert {row["report_date"].year for row in store.reports.values()} == {2026}


def test_a_key_beyond_64_bits_is_misplaced_and_not_a_crash() -> None:
    sources, store = Sources(), MemoryStore()
    sources.own(1, [])
    (record,) = records(sources)
    document = json.loads(record.value) | {"prosthesis_id": str(10**20)}
    key = str(10**20).encode()
    outcome = engine(store).process([LogRecord(partition_of(key, PARTITIONS), 0, key, json.dumps(document).encode())], epoch=1)
    assert [dead.reason for dead in outcome.dead] == ["misplaced"]

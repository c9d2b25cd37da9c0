"""A source with other tables, ids, units and claims works by a mapping file alone: directory, decoder and engine, with a crash and duplicates."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from schemas.keys import partition_of
from schemas.mapping import SourceMapping
from schemas.ownership import encode as encode_document
from stream_processor.domain.crm import decode_crm
from stream_processor.domain.directory import Directory
from stream_processor.engine import Engine, EngineSettings
from tests.support.log_model import LogRecord
from tests.support.memory_store import MemoryStore

MAPPING = SourceMapping.read(Path(__file__).parents[1] / "support" / "clinic" / "mapping.yaml")
LIMB = "0b5f1c1e-7d0a-4c8e-9f0e-0d8f6f0a1b2c"
PATIENT = "11111111-2222-4333-8444-555555555555"
PARTITIONS = 4
NOON_MS = int(datetime(2026, 5, 4, 12, tzinfo=UTC).timestamp() * 1000)


def crm(table: str, row: dict[str, Any], op: str = "c") -> bytes:
    return json.dumps({"op": op, "after": row, "before": None, "source": {"table": table, "ts_ms": 1}}).encode()


def ownership() -> bytes:
    directory = Directory(MAPPING, {})
    lease = {"id": "l-1", "lease_no": "L/1", "patient": PATIENT, "limb": LIMB, "from_ms": NOON_MS - 86_400_000, "to_ms": None}
    patient = {"id": PATIENT, "email": "ada@example.org", "display_name": "Ada", "tz": "Europe/London"}
    limb = {"id": LIMB, "kind": "Hand 2", "serial": "H-2"}
    documents = []
    for offset, (table, row) in enumerate((("leases", lease), ("patients", patient), ("limbs", limb))):
        documents.extend(directory.handle(decode_crm(crm(table, row)), offset).documents)
    return encode_document(documents[-1])


def reading(number: int, at_ms: int, **columns: Any) -> dict[str, Any]:
    names = ("emg_mv", "gesture_ok", "active_seconds", "charge", "fault", "fault_level", "lat_e6", "lon_e6")
    event_id = f"{number:08x}-0000-4000-8000-000000000000"
    return {"reading_uuid": event_id, "limb_uuid": LIMB, "measured_ms": at_ms} | dict.fromkeys(names) | columns


class Log:
    def __init__(self) -> None:
        self.records: list[LogRecord] = []

    def add(self, value: bytes) -> None:
        partition = partition_of(LIMB.encode(), PARTITIONS)
        self.records.append(LogRecord(partition, len(self.records), LIMB.encode(), value))

    def insert(self, row: dict[str, Any], lsn: int) -> None:
        source = {"lsn": lsn, "ts_ms": NOON_MS, "table": "readings"}
        self.add(json.dumps({"op": "c", "before": None, "after": row, "source": source}).encode())


def engine(store: MemoryStore) -> Engine:
    return Engine(store, MAPPING, EngineSettings("log", "id", PARTITIONS, integer_event_ids=False))


@pytest.fixture
def log() -> Log:
    log = Log()
    log.add(ownership())
    log.insert(reading(7, NOON_MS, emg_mv=1.25, gesture_ok=True, active_seconds=2.5, charge=0.875), 10)
    log.insert(reading(3, NOON_MS + 1, fault="F.1", fault_level="major", lat_e6=51_507_400, lon_e6=-127_800), 20)
    log.insert(reading(5, NOON_MS + 3_600_000, charge=0.8), 30)
    return log


def only_report(store: MemoryStore) -> dict[str, Any]:
    (report,) = store.live_reports().values()
    return report


def test_rows_of_another_schema_become_a_report(log: Log) -> None:
    store = MemoryStore()
    outcome = engine(store).process(log.records, epoch=1)
    report = only_report(store)
    assert outcome.dead == []
    assert (report["user_id"], report["prosthesis_id"], report["timezone"]) == ("ada@example.org", LIMB, "Europe/London")
    assert (report["event_count"], report["signal_count"], report["usage_ms"], report["amplitude_uv_sum"]) == (3, 1, 2_500, 1_250)
    assert (report["battery_first_bp"], report["battery_last_bp"], report["battery_drain_bp"]) == (8_750, 8_000, 750)
    assert (report["critical_error_count"], report["errors_by_code"]) == (1, {"F.1": 1})
    assert (report["location_lat_cell"], report["location_lon_cell"]) == (515, -2)
    assert report["usage_ms_by_hour"][13] == 2_500


def test_duplicates_are_found_without_an_order_of_ids(log: Log) -> None:
    store = MemoryStore()
    worker = engine(store)
    worker.process(log.records, epoch=1)
    before = only_report(store)
    log.insert(reading(7, NOON_MS, emg_mv=1.25, gesture_ok=True, active_seconds=2.5, charge=0.875), 10)
    outcome = worker.process(log.records[-1:], epoch=1)
    assert outcome.duplicates == 1
    assert only_report(store) == before


def test_every_insert_is_looked_up_which_is_what_unordered_ids_cost(log: Log) -> None:
    store = MemoryStore()
    assert engine(store).process(log.records, epoch=1).lookups == 3


def test_a_replay_changes_nothing(log: Log) -> None:
    store = MemoryStore()
    engine(store).process(log.records, epoch=1)
    before = only_report(store)
    for record in log.records:
        engine(store).process([record], epoch=1)
    assert only_report(store) == before


@pytest.mark.parametrize(
    "row",
    [
        reading(9, NOON_MS),
        reading(9, NOON_MS, charge=1.01),
        reading(9, NOON_MS, emg_mv=1.0),
        reading(9, NOON_MS + 2 * 86_400_000, charge=0.5),
        reading(9, NOON_MS, fault="F.1", fault_level="catastrophic"),
    ],
    ids=["no facet", "battery over full", "half a signal", "far future by the commit time", "unknown severity"],
)
def test_what_breaks_a_rule_is_a_dead_letter(log: Log, row: dict[str, Any]) -> None:
    store = MemoryStore()
    log.insert(row, 40)
    outcome = engine(store).process(log.records, epoch=1)
    assert [dead.reason for dead in outcome.dead] == ["invalid-row"]
    assert only_report(store)["event_count"] == 3

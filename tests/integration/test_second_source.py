"""Another company's databases through the whole pipe: the mapping is all that tells them from the demo's, and the oracle judges them by it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from local import steps
from schemas.keys import CRM_TOPIC, crm_key, heartbeat_key
from schemas.topics import log_partitions
from tests.support.captured import Tail
from tests.support.operator import Operator
from tests.support.processor import ProcessorProcess
from tests.support.system import BACKENDS, System

CLINIC = Path(__file__).parents[1] / "support" / "clinic"
MAPPING = CLINIC / "mapping.yaml"
DAY = datetime(2026, 5, 4, tzinfo=UTC)
ADA, GRACE = (str(uuid.UUID(int=number << 64 | 0x4000_8000_0000_0000_0000)) for number in (1, 2))
LIMB, OTHER_LIMB = (str(uuid.UUID(int=number << 64 | 0x4000_8000_0000_0000_0000)) for number in (11, 12))


def ms(instant: datetime) -> int:
    return int(instant.timestamp() * 1000)


class Clinic:
    """The company's two databases, as their owner, and the operator of its pipe."""

    def __init__(self, system: System, folder: Path) -> None:
        self._connections = {
            name: psycopg.connect(**dict[str, Any](system.postgres.conninfo(name)), autocommit=True) for name in ("crm", "telemetry")
        }
        self.crm, self.telemetry = self._connections["crm"], self._connections["telemetry"]
        sections = ("PROCESSOR", "RECONCILIATION", "WATCH")
        self.mapping = {f"BIONICPRO_{section}__MAPPING": str(MAPPING) for section in sections}
        self.operator = Operator(system.variables("operator") | self.mapping)
        self.connectors = folder / "connectors"
        self.kafka = system.kafka

    def make(self) -> None:
        self.crm.execute((CLINIC / "sales.sql").read_text(encoding="utf-8"))
        self.telemetry.execute((CLINIC / "device_data.sql").read_text(encoding="utf-8"))
        count = log_partitions()
        for partition in range(count):
            statement = "INSERT INTO device_data.heartbeats (log_key, log_partition) VALUES (%s, %s)"
            self.telemetry.execute(statement, (heartbeat_key(partition, count), partition))

    def lease(self, patient: str, email: str, limb: str, begins: datetime, ends: datetime | None = None) -> None:
        self.crm.execute(
            "INSERT INTO sales.patients VALUES (%s, %s, 'A patient', 'Europe/London', '+44 20') ON CONFLICT DO NOTHING", (patient, email)
        )
        self.crm.execute("INSERT INTO sales.limbs VALUES (%s, 'Hand 2', %s) ON CONFLICT DO NOTHING", (limb, f"H-{limb[:8]}"))
        row = (str(uuid.uuid4()), "L/1", patient, limb, ms(begins), None if ends is None else ms(ends))
        self.crm.execute("INSERT INTO sales.leases VALUES (%s, %s, %s, %s, %s, %s)", row)

    def reading(self, limb: str, at: datetime, **columns: Any) -> str:
        """One wide row; returns its id."""
        row = {"reading_uuid": str(uuid.uuid4()), "limb_uuid": limb, "measured_ms": ms(at)} | columns
        names, places = ", ".join(row), ", ".join(["%s"] * len(row))
        self.telemetry.execute(f"INSERT INTO device_data.readings ({names}) VALUES ({places})", list(row.values()))
        return str(row["reading_uuid"])

    def close(self) -> None:
        for connection in self._connections.values():
            connection.close()


@pytest.fixture(scope="module")
def clinic(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    """A pipe of its own; rows are there before the connectors begin, and more come while they stream."""
    system = System(BACKENDS[pytestconfig.getoption("--backend")]())
    folder = tmp_path_factory.mktemp("clinic")
    try:
        system.backend.begin(("postgres", "kafka", "connect", "clickhouse"))
        system.carry_out(steps.PIPE[:1])
        made = Clinic(system, folder)
        made.make()
        fill(made, DAY)
        system.carry_out(steps.PIPE[1:3])
        system.backend.wait("connect")
        for arguments in (("generate", str(MAPPING), "--into", str(made.connectors)), ("apply", "--folder", str(made.connectors))):
            result = made.operator("connectors", *arguments)
            assert result.exit_code == 0, result.output
        processor = ProcessorProcess(system.variables("processor") | made.mapping, folder)
        processor.start()
        try:
            fill(made, DAY + timedelta(days=1))
            yield made
        finally:
            processor.stop()
            made.close()
    finally:
        system.backend.end()


def fill(clinic: Clinic, day: datetime) -> None:
    """A day of two patients, one limb handed from one to the other at noon, with values in every unit of this source."""
    noon = day + timedelta(hours=12)
    clinic.lease(ADA, "ada@example.org", LIMB, day, noon)
    clinic.lease(GRACE, "grace@example.org", LIMB, noon, day + timedelta(days=1))
    clinic.lease(GRACE, "grace@example.org", OTHER_LIMB, day)
    for hour in range(6, 20):
        at = day + timedelta(hours=hour)
        clinic.reading(LIMB, at, emg_mv="0.75", gesture_ok=hour % 3 > 0, active_seconds="1.5", charge=1 - hour / 25)
        clinic.reading(OTHER_LIMB, at, fault="E42", fault_level="major" if hour % 2 else "minor", lat_e6=51_500_000, lon_e6=-120_000 + hour)


def verified(clinic: Clinic) -> dict[str, Any]:
    document: dict[str, Any] = clinic.operator.json("verify", "--from", str(DAY.date()), "--to", str((DAY + timedelta(days=2)).date()))
    return document


def test_reports_of_another_companys_databases_equal_a_recomputation_from_them(clinic: Clinic) -> None:
    told = verified(clinic)
    assert told["ok"], told
    # Both patients on the limb that was handed on, one of them on the other limb, on two days.
    assert told["rows_compared"] == 6, told


def test_a_corrected_and_a_deleted_reading_are_equal_too(clinic: Clinic) -> None:
    at = DAY + timedelta(hours=21)
    corrected, deleted = (clinic.reading(OTHER_LIMB, at, emg_mv="1.25", gesture_ok=True, active_seconds="2") for _ in range(2))
    assert verified(clinic)["ok"]
    clinic.telemetry.execute("UPDATE device_data.readings SET active_seconds = 4, charge = 0.5 WHERE reading_uuid = %s", (corrected,))
    clinic.telemetry.execute("DELETE FROM device_data.readings WHERE reading_uuid = %s", (deleted,))
    clinic.crm.execute("UPDATE sales.patients SET tz = 'Asia/Kolkata' WHERE id = %s", (GRACE,))
    told = verified(clinic)
    assert told["ok"], told


def test_a_key_of_the_crms_topic_tells_the_table_where_every_id_is_called_id(clinic: Clinic) -> None:
    """Compaction would take a patient for a limb otherwise; a tombstone has nothing but its key."""
    lease = str(uuid.uuid4())
    clinic.crm.execute("INSERT INTO sales.leases (id, lease_no) VALUES (%s, 'L/2')", (lease,))
    clinic.crm.execute("DELETE FROM sales.leases WHERE id = %s", (lease,))
    wanted = {crm_key("sales.patients", "id", ADA), crm_key("sales.limbs", "id", LIMB), crm_key("sales.leases", "id", lease)}
    with Tail(clinic.kafka.client(), CRM_TOPIC, from_beginning=True) as topic:
        found = topic.until(lambda found: any(record.value is None for record in found), lambda record: record.key in wanted)
    assert {record.key for record in found} == wanted
    assert found[-1].key == crm_key("sales.leases", "id", lease)


def test_the_watch_finds_nothing_wrong_with_these_sources(clinic: Clinic) -> None:
    result = clinic.operator("connectors", "check")
    assert result.exit_code == 0, result.output

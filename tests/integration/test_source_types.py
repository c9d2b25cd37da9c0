"""The table "Column types" of connectors/README.md, type by type: PostgreSQL, real Debezium, the processor's decoder; and the oracle says the same of every row."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciliation.oracle import Oracle
from schemas.mapping import SourceMapping
from schemas.raw_telemetry import TelemetryColumns
from stream_processor.domain.decode import LogDecoder
from stream_processor.domain.devices import Devices
from stream_processor.domain.log_records import LogRecord
from tests.support.system import System
from tests.support.typed_sources import TypedCase, TypedSources, captured_types

README = Path(__file__).parents[2] / "connectors" / "README.md"
ALL = (datetime(1999, 1, 1, tzinfo=UTC), datetime(2101, 1, 1, tzinfo=UTC))
SIGNAL = {"kind": "'signal'", "amplitude_uv": "100", "movement_recognised": "true", "active_ms": "5"}
BATTERY = {"kind": "'battery'", "battery_percent": "50"}
HALF = {"recorded_at": "'2026-11-20 08:00:00.5'"}


def battery(*values: str) -> list[Mapping[str, str]]:
    return [BATTERY | {"battery_percent": value} for value in values]


def recorded(*values: str) -> list[Mapping[str, str]]:
    return [BATTERY | {"recorded_at": f"'{value}'"} for value in values]


def received(*values: str) -> list[Mapping[str, str]]:
    return [BATTERY | {"received_at": f"'{value}'"} for value in values]


def recognised(*values: str) -> list[Mapping[str, str]]:
    return [SIGNAL | {"movement_recognised": value} for value in values]


def placed(*values: str) -> list[Mapping[str, str]]:
    return [{"kind": "'location'", "latitude": value, "longitude": "1"} for value in values]


def identified(*values: str) -> list[Mapping[str, str]]:
    return [BATTERY | {"prosthesis_id": value, "event_id": value} for value in values]


INSTANTS = ("2026-11-20 08:00Z", "2000-01-01 00:00Z", "1999-12-31 23:59:59Z", "infinity", "-infinity", "0044-03-15 12:00Z BC", "4713-01-01 00:00Z BC",
            "12026-11-20 08:00Z", "294276-12-31 23:59:59Z", "0001-01-01 00:00Z", "2100-01-01 00:00Z", "2110-01-01 00:00Z")  # fmt: skip
UUIDS = ("0b5f1c1e-7d0a-4c8e-9f0e-0d8f6f0a1b2c", "00000000-0000-0000-0000-000000000000")

# Which rows count is said by their number; the first comes by the snapshot, the others by the WAL.
CASES = {
    "t_smallint": TypedCase({}, battery("50", "0", "100", "-1", "101", "32767", "-32768"), counts=(0, 1, 2)),
    "t_bigint": TypedCase({"battery_percent": "bigint"}, battery("50", "9223372036854775807", "-9223372036854775808"), counts=(0,)),
    "t_numeric": TypedCase({"battery_percent": "numeric(5,2)"}, battery("50", "50", "100", "100.01", "-0.01", "'NaN'"), counts=(0, 1, 2)),
    "t_numeric_any": TypedCase(
        {"battery_percent": "numeric"},
        battery("50", "1e-20", "0.00000001", "1e2", "1e-400", "-1e-400", "1e400", "'Infinity'", "'-Infinity'", "'NaN'", "85.505"),
        counts=(0, 1, 2, 3, 4, 5, 10),
    ),
    "t_real": TypedCase({"battery_percent": "real"}, battery("50", "85.3", "3.4e38", "1e-45", "'NaN'", "'Infinity'"), counts=(0, 1, 3)),
    "t_double": TypedCase(
        {"battery_percent": "double precision"}, battery("50", "99.999", "1e308", "5e-324", "-5e-324", "'NaN'", "'-Infinity'"),
        counts=(0, 1, 3),
    ),
    "t_text": TypedCase(
        {"battery_percent": "text"},
        battery("'50'", "'85.50'", "'5e1'", "' 50'", "'50 '", "'050'", "'+50'", "'50%'", "'NaN'", "''", "'1e400'", "'1e-400'", "'0x10'", "'1_0'", "'.5'", "'٥'"),
        counts=(0, 1, 2, 11),
    ),
    "t_varchar": TypedCase({"battery_percent": "varchar(10)"}, battery("'50'", "'85.50'", "'101'"), counts=(0, 1)),
    "t_char": TypedCase({"battery_percent": "char(4)"}, battery("'50.0'", "'50.0'", "'50'"), counts=(0, 1)),
    "t_enum": TypedCase({"battery_percent": "telemetry.level", "kind": "telemetry.kind"}, battery("'50'", "'75'", "'101'"), counts=(0, 1)),
    "t_domain": TypedCase({"battery_percent": "telemetry.percent"}, battery("50", "85.5", "100.001"), counts=(0, 1)),
    "t_nested": TypedCase({"battery_percent": "telemetry.nested"}, battery("50", "85.5", "100.001"), counts=(0, 1)),
    "t_money": TypedCase({"battery_percent": "money"}, battery("50", "85.5", "100.01"), counts=(0, 1)),
    "t_amounts": TypedCase(
        {"amplitude_uv": "numeric(12,2)", "active_ms": "double precision", "movement_recognised": "smallint"},
        [SIGNAL | {"movement_recognised": "1"} | more for more in ({}, {"amplitude_uv": "100.50"}, {"active_ms": "5.5"}, {"active_ms": "1e300"}, {"amplitude_uv": "1000000.01"})],
        counts=(0, 1, 2),
    ),
    "t_bool_int": TypedCase({"movement_recognised": "integer"}, recognised("1", "0", "2", "-1"), counts=(0, 1)),
    "t_bool_text": TypedCase({"movement_recognised": "text"}, recognised("'true'", "'false'", "'1'", "'0'", "'t'", "'yes'", "'on'", "''"), counts=(0, 1, 2, 3)),
    "t_bool_bit": TypedCase({"movement_recognised": "bit(1)"}, recognised("B'1'", "B'0'"), counts=(0, 1)),
    "t_places": TypedCase({}, placed("55.7558", "90", "-90", "90.0000001", "1e308", "-1e308", "5e-324", "'NaN'", "'Infinity'"), counts=(0, 1, 2, 6)),
    "t_places_numeric": TypedCase({"latitude": "numeric(9,6)"}, placed("55.7558", "90", "90.000001"), counts=(0, 1)),
    "t_places_real": TypedCase({"latitude": "real"}, placed("55.7558", "55.8", "90.1"), counts=(0, 1)),
    "t_words": TypedCase(
        {"error_code": "varchar(64)", "error_severity": "char(8)"},
        [{"kind": "'error'", "error_code": code, "error_severity": severity} for code, severity in (("'E.1'", "'critical'"), ("'E.1'", "'critical'"), ("'E.1'", "'info'"), ("'E 1'", "'critical'"))],
        counts=(0, 1),
    ),
    "t_tz": TypedCase({}, recorded(*INSTANTS), counts=(0, 1)),
    "t_tz0": TypedCase({"recorded_at": "timestamptz(0)"}, [*recorded("2026-11-20 08:00Z"), *recorded(*INSTANTS)[:2]], counts=(0, 1, 2)),
    "t_tz3": TypedCase({"recorded_at": "timestamptz(3)"}, [BATTERY | HALF, BATTERY | HALF], counts=(0, 1)),
    "t_ts0": TypedCase({"recorded_at": "timestamp(0)"}, recorded(*INSTANTS), counts=(0, 1)),
    "t_ts": TypedCase({"recorded_at": "timestamp", "received_at": "timestamp(3)"}, [BATTERY | HALF, BATTERY | HALF], counts=(0, 1)),
    "t_time_text": TypedCase(
        {"recorded_at": "text"},
        recorded("2026-11-20T08:00:00Z", "2026-11-20T08:00:00.5Z", "2026-11-20 08:00Z", "2026-11-20T08:00:00+03:00", "2026-02-30T08:00:00Z", "yesterday", "infinity"),
        counts=(0, 1),
    ),
    "t_date": TypedCase({"recorded_at": "date"}, recorded("2026-11-20", "2026-11-20"), counts=()),
    "t_received": TypedCase(
        {}, received("2026-11-20 09:00Z", "infinity", "-infinity", "10000-01-01 00:00Z", "294276-01-01 00:00Z", "0001-01-01 00:00Z", "2026-11-19 07:59:59.999999Z", "2026-11-19 08:00Z"),
        counts=(0, 1, 3, 4, 7),
    ),
    "t_id_numeric": TypedCase(
        {"prosthesis_id": "numeric(30,0)", "event_id": "numeric PRIMARY KEY"},
        identified("7", "0", "9223372036854775807", "9223372036854775808", "-1"), counts=(0, 1, 2), numbers=("7", "0", "9223372036854775807", "-", "-"),
    ),
    "t_id_text": TypedCase(
        {"prosthesis_id": "text", "event_id": "text PRIMARY KEY"},
        identified("'7'", "'0'", "'007'", "' 7'", "'7 '", "'+7'", "'-7'", "'7.0'", "'٧'"), counts=(0, 1), numbers=("7", "0", *"-------"),
    ),
    "t_id_negative": TypedCase({}, identified("7", "-7", "9223372036854775807", "-9223372036854775808"), counts=(0, 2), numbers=("7", "-", "9223372036854775807", "-")),
    "t_id_uuid": TypedCase(
        {"prosthesis_id": "uuid", "event_id": "uuid PRIMARY KEY"}, identified(*(f"'{u}'" for u in UUIDS)), counts=(0, 1), numbers=UUIDS, ids="uuid",
    ),
    "t_id_uuid_text": TypedCase(
        {"prosthesis_id": "text", "event_id": "text PRIMARY KEY"},
        identified(f"'{UUIDS[0]}'", f"'{UUIDS[1]}'", f"'{UUIDS[0].upper()}'", "'x'"), counts=(0, 1), numbers=(*UUIDS, "-", "-"), ids="uuid",
    ),
    "t_generated": TypedCase({"battery_percent": "numeric(5,2) GENERATED ALWAYS AS (active_ms * 10) STORED"}, [{"kind": "'battery'", "active_ms": "5"}] * 2, counts=(0,), agrees=False),
}  # fmt: skip


@pytest.fixture(scope="module")
def typed(pipe: System) -> Iterator[TypedSources]:
    with captured_types(pipe, CASES) as captured:
        yield captured


def mapping_of(name: str) -> SourceMapping:
    mapping, case = SourceMapping.read(), CASES[name]
    ids = {column: getattr(mapping.telemetry, column).model_copy(update={"type": case.ids}) for column in ("event_id", "prosthesis_id")}
    return mapping.model_copy(update={"telemetry": mapping.telemetry.model_copy(update={"table": f"telemetry.{name}"} | ids)})


def read_by_the_processor(typed: TypedSources, name: str) -> dict[str, tuple[object, ...]]:
    """What counts, by event id: the content of ``sql/events.sql``."""
    records = [LogRecord(0, i, record.key, json.dumps(record.value).encode()) for i, record in enumerate(typed.records[name])]
    inserts = LogDecoder(mapping_of(name)).decode(records).inserts
    device, _ = Devices(1).indices([record.key for record in inserts.records], inserts.ids, inserts.columns.partition)
    return {
        json.loads(record.value)["after"]["event_id"] if CASES[name].ids == "uuid" else str(int(inserts.columns.event_id_lo[i])): content(
            inserts.columns, i
        )
        for i, record in enumerate(inserts.records)
        if device[i] >= 0
    }


def content(columns: TelemetryColumns, i: int) -> tuple[object, ...]:
    names = ("recorded_us", "facets", "amplitude_uv", "recognised", "active_ms", "battery_bp", "error_code", "error_severity", "lat_cell")
    return (*(getattr(columns, name)[i] for name in names), columns.lon_cell[i])


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.agrees])
def test_a_value_that_is_in_range_counts_whatever_type_it_has_and_the_oracle_agrees(typed: TypedSources, name: str) -> None:
    found, case = read_by_the_processor(typed, name), CASES[name]
    assert set(found) == {case.number(row) for row in case.counts}
    with typed.connection() as connection:
        events = Oracle(mapping_of(name)).events(connection, *ALL)
        assert {row[1]: tuple(row[2:]) for row in events} == found


def test_a_percentage_is_the_same_in_every_type(typed: TypedSources) -> None:
    for name, case in CASES.items():
        if "battery_percent" in case.columns:
            assert read_by_the_processor(typed, name)[case.number(0)][5] == 5_000, name


def test_a_generated_column_is_in_a_snapshot_and_not_in_the_wal(typed: TypedSources) -> None:
    by_snapshot, by_wal = typed.records["t_generated"]
    assert by_snapshot.value["after"]["battery_percent"] == "50.00"
    assert "battery_percent" not in by_wal.value["after"]
    assert set(read_by_the_processor(typed, "t_generated")) == {"0"}


def test_the_table_of_types_names_every_case() -> None:
    table = README.read_text("utf-8").split("## Column types")[1]
    types = {
        kind.partition("(")[0].partition(" GENERATED")[0].removesuffix(" PRIMARY KEY")
        for case in CASES.values()
        for kind in case.columns.values()
    }
    assert {kind for kind in types if not kind.startswith("telemetry.") and f"`{kind}" not in table} == set()

"""No row of a source makes the oracle's SQL fail, and it says of every row what the processor says: each column is fed its type's extremes, on a real PostgreSQL."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciliation.day_range import DayRange
from schemas.mapping import SourceMapping
from schemas.ownership import Ownership
from schemas.ranges import EARLIEST_US, END_US, FIRST_DAY, LAST_DAY
from stream_processor.domain.crm import decode_crm
from stream_processor.domain.decode import LogDecoder
from stream_processor.domain.devices import Devices
from stream_processor.domain.directory import Directory
from stream_processor.domain.log_records import LogRecord
from tests.support.endpoints import PostgresEndpoint
from tests.support.oracle_cases import Sources, rolled_back, user

NAN, INF = float("nan"), float("inf")
DOUBLES = (None, 0.0, -0.0, 5e-324, -5e-324, 1.7e308, -1.7e308, 1e300, 89.99999949, 90.0, 90.00000001, 179.95, -180.0, NAN, INF, -INF)
INTEGERS = (None, 0, 1, -1, 1_000_000, 1_000_001, 3_600_000, 3_600_001, 2_147_483_647, -2_147_483_648)
SMALL = (None, 0, 50, 100, 101, -1, 32_767, -32_768)
IDS = (0, 1, 7, -1, 9_223_372_036_854_775_807, -9_223_372_036_854_775_808)
# As PostgreSQL reads it, and as Debezium writes it (tests/integration/test_source_types.py).
INSTANTS = {
    "2026-11-20 08:00:00.123456Z": "2026-11-20T08:00:00.123456Z",
    "2000-01-01 00:00Z": "2000-01-01T00:00:00Z",
    "1999-12-31 23:59:59.999999Z": "1999-12-31T23:59:59.999999Z",
    "2099-12-31 23:59:59.999999Z": "2099-12-31T23:59:59.999999Z",
    "2100-01-01 00:00Z": "2100-01-01T00:00:00Z",
    "2110-06-01 00:00Z": "2110-06-01T00:00:00Z",
    "9999-12-31 23:59:59.999999Z": "9999-12-31T23:59:59.999999Z",
    "10000-01-01 00:00Z": "+10000-01-01T00:00:00Z",
    "294276-12-31 23:59:59.999999Z": "+294276-12-31T23:59:59.999999Z",
    "0001-01-01 00:00Z": "0001-01-01T00:00:00Z",
    "0044-03-15 12:00Z BC": "-0043-03-15T12:00:00Z",
    "4713-01-01 00:00Z BC": "-4712-01-01T00:00:00Z",
    "1960-01-01 00:00Z": "1960-01-01T00:00:00Z",
    "1950-01-01 00:00Z": "1950-01-01T00:00:00Z",
    "infinity": "infinity",
    "-infinity": "-infinity",
}
TEXTS = (None, "", "E1", "E" * 64, "E" * 65, "E1 ", "é", "e\u0301", "E1\n", "null", "NaN")
EVERY_DAY = DayRange(FIRST_DAY, LAST_DAY)

times = st.sampled_from([None, *INSTANTS])
rows = st.fixed_dictionaries(
    {
        "prosthesis_id": st.sampled_from(IDS),
        "recorded_at": st.one_of(st.just("2026-11-20 08:00:00.123456Z"), times),
        "received_at": st.sampled_from(list(INSTANTS)),
        "kind": st.sampled_from([None, "signal", "battery", "error", "location", "Signal", "signal "]),
        "amplitude_uv": st.sampled_from(INTEGERS),
        "movement_recognised": st.sampled_from([None, True, False]),
        "active_ms": st.sampled_from(INTEGERS),
        "battery_percent": st.sampled_from(SMALL),
        "error_code": st.sampled_from(TEXTS),
        "error_severity": st.sampled_from([None, "info", "critical", "fatal", ""]),
        "latitude": st.sampled_from(DOUBLES),
        "longitude": st.sampled_from(DOUBLES),
    }
)
contracts = st.lists(st.tuples(st.sampled_from(list(INSTANTS)), times), max_size=5)
quick = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def db(sources: PostgresEndpoint) -> Iterator[Sources]:
    with rolled_back(sources) as databases:
        databases.owned("Europe/Berlin", prosthesis=7)
        yield databases


@quick
@given(st.lists(rows, min_size=1, max_size=20))
def test_the_oracle_answers_whatever_the_columns_hold_and_says_what_the_processor_says(
    db: Sources, given_rows: list[dict[str, Any]]
) -> None:
    db.telemetry.execute("DELETE FROM telemetry.telemetry_events")
    for number, row in enumerate(given_rows):
        db.event(row["recorded_at"], row["kind"], event_id=number, prosthesis=row["prosthesis_id"],
                 **{name: row[name] for name in row if name not in {"prosthesis_id", "recorded_at", "kind"}})  # fmt: skip
    valid = {
        row[1]: tuple(row[2:]) for row in db.oracle.events(db.telemetry, datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC))
    }
    assert valid == by_the_processor(given_rows)
    intervals = db.oracle.intervals(db.crm)
    reports = db.oracle.reports(db.telemetry, intervals, EVERY_DAY)
    of_seven = sum(1 for number in valid if given_rows[int(number)]["prosthesis_id"] == 7)
    assert sum(values[9] for values in reports.values() if isinstance(values[9], int)) == of_seven
    assert db.oracle.unowned(db.telemetry, intervals, EVERY_DAY) == len(valid) - of_seven
    assert sum(db.oracle.event_days(db.telemetry).values()) == len(valid)
    digests = dict(db.oracle.digests(db.telemetry, datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)))
    assert sum(digest.events for digest in digests.values()) == len(valid)
    assert len(list(db.oracle.events_by_id(db.telemetry, ["0", "-1", "x", "18446744073709551615"]))) == len({"0"} & valid.keys())


def by_the_processor(given_rows: list[dict[str, Any]]) -> dict[str, tuple[Any, ...]]:
    records = [
        LogRecord(0, i, str(row["prosthesis_id"]).encode(), json.dumps(envelope("telemetry_events", wire(row) | {"event_id": i})).encode())
        for i, row in enumerate(given_rows)
    ]
    inserts = LogDecoder(SourceMapping.read()).decode(records).inserts
    device, _ = Devices(1).indices([record.key for record in inserts.records], inserts.ids, inserts.columns.partition)
    names = ("recorded_us", "facets", "amplitude_uv", "recognised", "active_ms", "battery_bp", "error_code", "error_severity", "lat_cell", "lon_cell")  # fmt: skip
    columns = zip(*(getattr(inserts.columns, name).tolist() for name in names), strict=True)
    ids = inserts.columns.event_id_lo.tolist()
    return {str(i): values for i, at, values in zip(ids, device.tolist(), columns, strict=True) if at >= 0}


def envelope(table: str, row: dict[str, Any]) -> dict[str, Any]:
    return {"op": "c", "before": None, "after": row, "source": {"table": table, "ts_ms": 1, "lsn": 1}}


def wire(row: dict[str, Any]) -> dict[str, Any]:
    """A row as Debezium writes it."""
    return {
        name: said(value) if name in {"recorded_at", "received_at", "starts_at", "ends_at"} else floated(value)
        for name, value in row.items()
    }


def said(value: Any) -> Any:
    return INSTANTS[value] if value is not None else None


def floated(value: Any) -> Any:
    if not isinstance(value, float) or math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


@quick
@given(contracts)
def test_ownership_is_the_same_on_both_sides_whatever_bounds_contracts_have(db: Sources, bounds: list[tuple[str, str | None]]) -> None:
    with db.crm.transaction(force_rollback=True):
        db.crm.execute("DELETE FROM crm.contracts")
        for number in range(1, len(bounds) + 1):
            db.customer(100 + number, ("Europe/Berlin", "europe/berlin", "America.Argentina/Buenos_Aires", "Asia/Kolkata", "")[number - 1])
            db.contract(number, 100 + number, 7, *bounds[number - 1])
        intervals = [interval for interval in db.oracle.intervals(db.crm) if interval["prosthesis_id"] == "7"]
    assert intervals == by_the_directory(bounds)
    assert all(EARLIEST_US <= i["starts_us"] < (i["ends_us"] or END_US) <= END_US for i in intervals)


def by_the_directory(bounds: list[tuple[str, str | None]]) -> list[dict[str, Any]]:
    directory = Directory(SourceMapping.read(), {})
    zones = ("Europe/Berlin", "europe/berlin", "America.Argentina/Buenos_Aires", "Asia/Kolkata", "")
    changes = [("prostheses", {"prosthesis_id": 7, "model": "Model 7", "serial_number": "SN-7"})]
    for number, (starts, ends) in enumerate(bounds, 1):
        customer = {
            "customer_id": 100 + number,
            "user_id": user(100 + number),
            "full_name": f"Customer {100 + number}",
            "timezone": zones[number - 1],
        }
        contract = {
            "contract_id": number,
            "number": f"K-{number}",
            "customer_id": 100 + number,
            "prosthesis_id": 7,
            "starts_at": starts,
            "ends_at": ends,
        }
        changes += [("customers", customer), ("contracts", wire(contract))]
    handled = [
        directory.handle(decode_crm(json.dumps(envelope(table, row)).encode()), offset) for offset, (table, row) in enumerate(changes)
    ]
    assert [result.error for result in handled if result.error] == []
    document = directory.document("7", 0)
    attributes = {"prosthesis_id": "7", "prosthesis_model": document.model, "prosthesis_serial_number": document.serial_number}
    return [attributes | {name: getattr(interval, name) for name in Ownership.__struct_fields__} for interval in document.intervals]


def test_a_query_of_a_table_that_is_not_there_says_so(db: Sources) -> None:
    telemetry = db.oracle.mapping.telemetry.model_copy(update={"table": "telemetry.nowhere"})
    oracle = type(db.oracle)(db.oracle.mapping.model_copy(update={"telemetry": telemetry}))
    with db.telemetry.transaction(force_rollback=True), pytest.raises(psycopg.errors.UndefinedTable):
        oracle.event_days(db.telemetry)

"""Run in the copy that has the worked example's metric: the processor's numbers of a day and the oracle's on PostgreSQL. Prints what there is of the metric as JSON."""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime
from typing import Any

from clickhouse.migrator import SCHEMA, statements
from reconciliation.fields import FIELDS
from reports_api import domain, examples, export_csv
from schemas.mapping import SourceMapping
from schemas.ownership import Ownership
from stream_processor.engine import Engine, EngineSettings
from tests.support.log_model import PARTITIONS, Sources, micro
from tests.support.memory_store import MemoryStore
from tests.support.oracle_cases import rolled_back_at

NAME = "grip_change_count"
CHANGES = (0, 3, 1_000, 1_001, None)
"""The fourth is out of range: its row is invalid. The last record is from before the column was there."""


def folded() -> dict[str, Any]:
    """The report that the processor makes."""
    sources = Sources()
    noon = micro(datetime(2026, 11, 20, 12, tzinfo=UTC))
    sources.own(1, [Ownership(noon - 10**12, None, "u", "1", "Name", "UTC", "1", "N")])
    for changes in CHANGES:
        row = {"kind": "signal", "amplitude_uv": 5, "movement_recognised": True, "active_ms": 7, "prosthesis_id": 1, "recorded_us": noon}
        sources.insert(row | ({} if changes is None else {"grip_changes": changes}))
    store = MemoryStore()
    records = [record for partition in sources.log for record in partition]
    Engine(store, SourceMapping.read(), EngineSettings("log", "id", PARTITIONS)).process(records, epoch=1)
    (report,) = store.live_reports().values()
    return report


def recomputed(conninfo: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The report that the oracle makes."""
    with rolled_back_at(conninfo["crm"], conninfo["telemetry"]) as db:
        db.telemetry.execute((SCHEMA.parents[1] / "simulator/sources/telemetry/0003_grip_changes.sql").read_text("utf-8"))
        db.owned("UTC")
        for changes in CHANGES:
            db.signal("2026-11-20 12:00Z", uv=5, ms=7, **({} if changes is None else {"grip_changes": changes}))
        return db.report("2026-11-20")


def main() -> None:
    names = {"generation_database": "g", "shared": "s", "definer": "d"}
    created = "\n".join(statements((SCHEMA / "generation.sql").read_text("utf-8"), names))
    conninfo = json.loads(os.environ["BIONICPRO_TEST_CONNINFO"])
    numbers = ("event_count", "usage_ms", "signal_count", "amplitude_uv_max", NAME)
    fold, oracle = folded(), recomputed(conninfo)
    found = {
        "fold": [fold[name] for name in numbers],
        "oracle": [oracle[name] for name in numbers],
        "in tables": created.count(f"{NAME} UInt64"),
        "raw": created.count("grip_changes UInt16"),
        "compared": NAME in FIELDS,
        "exported": NAME in export_csv.EXPORTED,
        "answered": getattr(domain.daily_report(examples.ROW, None).signals, NAME),
    }
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()

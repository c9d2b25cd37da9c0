"""However a batch is cut, decoding it comes to the same."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from schemas.mapping import SourceMapping
from stream_processor.domain.decode import LogDecoder
from stream_processor.domain.log_records import Decoded, LogRecord

TABLE = {"table": "telemetry_events"}
MAPPING = SourceMapping.read()


def event(number: int, **columns: Any) -> dict[str, Any]:
    at = "2026-11-23T10:00:00.000000Z"
    row = {"event_id": number, "prosthesis_id": 7, "recorded_at": at, "received_at": at, "kind": "battery", "battery_percent": 40}
    return row | columns


def envelope(op: str, ts_ms: int, before: dict[str, Any] | None = None, after: dict[str, Any] | None = None, **source: Any) -> bytes:
    return json.dumps({"op": op, "before": before, "after": after, "source": TABLE | {"lsn": ts_ms, "ts_ms": ts_ms} | source}).encode()


VALUES = (
    envelope("c", 900, after=event(1)),
    envelope("c", 100, after=event(2, kind="nonsense")),
    envelope("u", 300, before=event(1), after=event(1, battery_percent=50)),
    b"{",
    envelope("r", 200, after=event(3), lsn=None),
    envelope("d", 500, before=event(1)),
    envelope("u", 400, after={"beat_at": "x"}, table="pipeline_heartbeats"),
    envelope("c", 100, after=event(4, battery_percent=101)),
    envelope("c", 150, after=event(5)),
)
RECORDS = [LogRecord(offset % 2, offset, b"7", value) for offset, value in enumerate(VALUES)]


def decoded(records: Sequence[LogRecord], size: int) -> Decoded:
    with patch("stream_processor.domain.decode.SLICE", size):
        return LogDecoder(MAPPING).decode(records)


def told(result: Decoded) -> dict[str, Any]:
    """Everything in it, comparable."""
    inserts = result.inserts
    return {
        "columns": {name: values.tolist() for name, values in asdict(inserts.columns).items()},
        "inserts": (inserts.records, inserts.ids, inserts.live.tolist(), inserts.unversioned.tolist()),
        "changes": [(change.record, change.ts_ms) for change in result.changes],
        "retractions": result.retractions,
        "dead": sorted((item.record.offset, item.reason, item.error) for item in result.dead),
        "progress": result.progress,
    }


@pytest.mark.parametrize("size", [1, 2, 4, 8])
def test_pieces_come_to_the_whole(size: int) -> None:
    assert told(decoded(RECORDS, size)) == told(decoded(RECORDS, len(RECORDS)))


def test_the_latest_source_time_of_a_partition_stays_from_piece_to_piece() -> None:
    progress = decoded(RECORDS, 1).progress
    assert (progress[0].offset, progress[0].as_of_ms) == (8, 900)
    assert (progress[1].offset, progress[1].as_of_ms) == (7, 500)


def test_nothing_is_decoded_to_nothing() -> None:
    result = decoded([], 3)
    assert (len(result.inserts.columns), result.dead, result.progress) == (0, [], {})
    assert result.inserts.live.dtype == np.bool_

"""Reading rows into columns: instants, and which of many rows are invalid."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from schemas.mapping import SourceMapping, TimeColumn
from stream_processor.domain.instants import read_times
from stream_processor.domain.rows import RowReader, row_struct

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
COLUMN = TimeColumn(column="recorded_at", unit="timestamp")
MAPPING = SourceMapping.read()
READER, ROW = RowReader(MAPPING), row_struct(MAPPING.telemetry)
moments = st.datetimes(datetime(2000, 1, 1), datetime(2999, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds the zone


def long_form(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def short_form(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


@given(st.lists(st.tuples(moments, st.booleans()), min_size=1, max_size=30))
def test_instants_are_what_the_calendar_says_in_either_form(given_moments: list[tuple[datetime, bool]]) -> None:
    texts = [short_form(moment) if short else long_form(moment) for moment, short in given_moments]
    expected = [(moment - EPOCH) // timedelta(microseconds=1) for moment, _ in given_moments]
    assert read_times(texts, COLUMN).tolist() == expected


@given(moments, st.integers(0, 26), st.sampled_from("0123456789:-TZ./x"))
def test_a_text_with_one_character_changed_is_another_instant_or_refused(moment: datetime, at: int, character: str) -> None:
    text = long_form(moment)
    broken = text[:at] + character + text[at + 1 :]
    assume(not broken.startswith("0000"))  # a year that Python does not have; the range check refuses it
    try:
        expected = (datetime.strptime(broken, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)
    except ValueError:
        with pytest.raises(ValueError, match=r"."):
            read_times([text, broken], COLUMN)
    else:
        assert read_times([text, broken], COLUMN)[1] == expected


@given(st.lists(st.sampled_from(["good", "no time", "no amplitude", "late"]), min_size=1, max_size=40))
def test_exactly_the_invalid_rows_are_named_and_the_others_are_read(kinds: list[str]) -> None:
    rows = [a_row(i, kind) for i, kind in enumerate(kinds)]
    canonical = READER.read(rows, np.zeros(len(rows), np.int64))
    assert [i for i, _ in canonical.invalid] == [i for i, kind in enumerate(kinds) if kind != "good"]
    assert canonical.index.tolist() == [i for i, kind in enumerate(kinds) if kind == "good"]
    assert canonical.columns.event_id_lo.tolist() == canonical.index.tolist()
    assert canonical.columns.amplitude_uv.tolist() == [100 + i for i in canonical.index.tolist()]


def a_row(i: int, kind: str) -> object:
    return ROW(
        event_id=i,
        prosthesis_id=7,
        recorded_at=None if kind == "no time" else "2026-11-25T12:00:00.000000Z" if kind == "late" else "2026-11-23T12:00:00.000000Z",
        received_at="2026-11-23T12:00:01.000000Z",
        kind="signal",
        amplitude=None if kind == "no amplitude" else 100 + i,
        recognised=True,
        active=5,
    )

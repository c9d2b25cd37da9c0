"""The engine's promise while a large day is recomputed in parts: whatever comes between two of them, the mart is the recomputation."""

from __future__ import annotations

from itertools import cycle
from typing import Any
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from stream_processor.ports import StoreUnavailable
from tests.property.test_engine import BEGIN, SPAN_US, InParts, batches, carry_on, changes, check, engine, interval, relaxed, rows, world
from tests.support.log_model import PARTITIONS
from tests.support.memory_store import Faults, MemoryStore

crowded = st.builds(
    lambda row, minute: row | {"prosthesis_id": 1, "recorded_us": BEGIN + 43_200_000_000 + minute * 60_000_000}, rows, st.integers(0, 59)
)
"""All of one hour, which is noon of one day or of another by the owner's zone."""
crowds = st.lists(st.tuples(st.just("insert"), crowded), min_size=4, max_size=12)
beginnings = st.one_of(
    st.tuples(st.just("recompute"), st.just(1)),
    st.tuples(st.just("own"), st.just(1), st.integers(1, 3).map(lambda user: [interval(BEGIN - SPAN_US, None, user)])),
    st.tuples(st.just("update"), st.integers(0, 99), crowded),
)
meanwhile = st.one_of(st.tuples(st.just("insert"), crowded), st.tuples(st.just("update"), st.integers(0, 99), crowded), changes)


@relaxed
@given(
    crowds, beginnings, st.lists(meanwhile, max_size=12), st.lists(st.integers(0, 2), min_size=1, max_size=4).filter(any),
    st.sampled_from([1, 2]), st.sampled_from([1, 31]), st.integers(1, 90), st.booleans(),
)  # fmt: skip
def test_whatever_comes_between_two_parts_of_a_large_day_changes_nothing(
    crowd: list[tuple[Any, ...]],
    begin: tuple[Any, ...],
    steps: list[tuple[Any, ...]],
    cuts: list[int],
    part: int,
    window_days: int,
    at: int,
    after: bool,
) -> None:
    """A recompute of a day of many parts is begun, and each part is followed by a batch of few records, or none; somewhere the worker may die."""
    sources, store = world(crowd), MemoryStore()
    for batch in batches(sources, [99], [0] * PARTITIONS):
        engine(store).process(batch, epoch=1)
    acknowledged = [len(partition) for partition in sources.log]
    carry_on(sources, [begin, *steps])
    with patch("stream_processor.ports.TELEMETRY_AT_ONCE", part), patch("stream_processor.recompute.WINDOW_DAYS", window_days):
        try:
            worker, calls = InParts(Faults(store, at, after=after), acknowledged), cycle(cuts)
            records = [record for batch in batches(sources, [1], list(acknowledged)) for record in batch]
            while records:
                batch = records[: (size := next(calls))]
                records = records[size:]
                worker.handle(batch)
            worker.finish()
        except StoreUnavailable:
            successor = InParts(store, acknowledged)
            for batch in batches(sources, [1], list(acknowledged)):
                successor.handle(batch)
            successor.finish()
    check(store, sources)
    assert acknowledged == [len(partition) for partition in sources.log]

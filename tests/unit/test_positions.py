"""Commit positions never pass over work that is not done."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stream_processor.adapters.positions import Positions


def test_nothing_is_committed_before_the_first_acknowledgement() -> None:
    positions = Positions()
    positions.deliver("p", 9)
    assert positions.next_offset("p") is None


def test_an_acknowledgement_out_of_order_waits_for_the_earlier_ones() -> None:
    positions = Positions()
    positions.deliver("p", 9)
    positions.deliver("p", 19)
    positions.acknowledge("p", 19)
    assert positions.next_offset("p") is None
    positions.acknowledge("p", 9)
    assert positions.next_offset("p") == 20


def test_records_that_were_fetched_and_dropped_stop_the_position_until_a_seek() -> None:
    positions = Positions()
    positions.deliver("p", 9)
    positions.skip(["p"])
    positions.deliver("p", 29)
    positions.acknowledge("p", 29)
    positions.acknowledge("p", 9)
    assert positions.next_offset("p") == 10
    positions.restart()
    positions.deliver("p", 29)
    positions.acknowledge("p", 29)
    assert positions.next_offset("p") == 30


def test_an_acknowledgement_from_before_a_seek_moves_nothing() -> None:
    positions = Positions()
    positions.deliver("p", 99)
    positions.restart()
    positions.acknowledge("p", 99)
    assert positions.next_offset("p") is None


@given(st.lists(st.integers(0, 9), max_size=40))
def test_the_position_is_the_longest_acknowledged_prefix(order: list[int]) -> None:
    positions, done = Positions(), set()
    for offset in range(10):
        positions.deliver("p", offset)
    for offset in order:
        positions.acknowledge("p", offset)
        done.add(offset)
        prefix = next((i for i in range(10) if i not in done), 10)
        assert positions.next_offset("p") == (prefix or None)

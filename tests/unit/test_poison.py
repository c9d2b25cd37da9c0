"""The search for the record that makes a batch fail."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stream_processor.poison import search


@given(st.integers(1, 300).flatmap(lambda size: st.tuples(st.just(size), st.sets(st.integers(0, size - 1), max_size=4))))
def test_every_record_is_tried_in_order_and_those_that_fail_alone_are_the_poison(case: tuple[int, set[int]]) -> None:
    size, poison = case
    done: list[int] = []
    found: set[int] = set()
    tries = 0
    plan = search(size)
    part = next(plan, None)
    while part is not None:
        tries += 1
        failed = bool(poison & set(part))
        if failed and len(part) == 1:
            found |= set(part)
        if not failed or len(part) == 1:
            done += part
        try:
            part = plan.send(failed)
        except StopIteration:
            break
    assert done == list(range(size)), "each once, in the order of the log"
    assert found == poison
    assert tries <= 2 + 2 * max(1, len(poison)) * size.bit_length()

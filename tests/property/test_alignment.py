"""Two sides side by side: what a merge of sorted sides says is what dictionaries would say."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reconciliation.alignment import aligned

SIDES = st.dictionaries(st.tuples(st.text(max_size=2), st.integers(0, 5)), st.integers())


@given(SIDES, SIDES)
def test_every_key_comes_once_in_order_with_what_each_side_has(left: dict[tuple[str, int], int], right: dict[tuple[str, int], int]) -> None:
    found = list(aligned(sorted(left.items()), sorted(right.items())))
    assert found == [(key, left.get(key), right.get(key)) for key in sorted(left.keys() | right.keys())]

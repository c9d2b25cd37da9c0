"""Which time an erasure covers, against an instant-by-instant reading of the rule."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from schemas.ownership import Ownership
from stream_processor.domain.erasure import Claim, erased_intervals
from stream_processor.domain.ownership import Contract, effective_intervals

LAST = 30
times = st.integers(0, LAST)
ends = st.one_of(st.none(), times)
claims = st.lists(st.builds(Claim, st.integers(1, 50).map(lambda i: (0, 0, 2 * i, "")), times, ends, st.booleans()), max_size=4)
others = st.lists(
    st.builds(
        lambda i, begin, end: Contract((0, 0, 2 * i + 1, ""), Ownership(begin, end, "b", "b", "", "UTC", f"b{i}", "")),
        st.integers(1, 50),
        times,
        ends,
    ),
    max_size=4,
)


def holds(begins: int, ends_at: int | None, at: int) -> bool:
    return begins <= at and (ends_at is None or at < ends_at)


def is_mine(at: int, mine: list[Claim], theirs: list[Contract]) -> bool:
    """The rule, read aloud."""
    owners = [((c.interval.starts_us, c.rank), False) for c in theirs if holds(c.interval.starts_us, c.interval.ends_us, at)]
    owners += [((c.starts_us, c.rank), True) for c in mine if c.contends and holds(c.starts_us, c.ends_us, at)]
    if owners:
        return max(owners)[1]
    return any(holds(c.starts_us, c.ends_us, at) for c in mine)


@given(claims, others, st.integers(0, LAST + 5))
def test_an_instant_is_erased_where_it_was_the_persons_and_before_the_moment(
    mine: list[Claim], theirs: list[Contract], moment: int
) -> None:
    intervals = erased_intervals(mine, theirs, moment)
    for at in range(LAST + 10):
        covered = any(begin <= at < end for begin, end in intervals)
        assert covered == (at < moment and is_mine(at, mine, theirs)), at


@given(claims, others, st.integers(0, LAST + 5))
def test_intervals_are_sorted_disjoint_and_joined(mine: list[Claim], theirs: list[Contract], moment: int) -> None:
    intervals = erased_intervals(mine, theirs, moment)
    assert all(begin < end for begin, end in intervals)
    assert all(one[1] < other[0] for one, other in pairwise(intervals))


@given(claims.map(lambda found: [c for c in found if not c.contends]), others, st.integers(0, LAST + 5))
def test_what_another_live_contract_owns_is_never_taken_by_one_that_was_withdrawn(
    mine: list[Claim], theirs: list[Contract], moment: int
) -> None:
    for begin, end in erased_intervals(mine, theirs, moment):
        for owned in effective_intervals(theirs):
            assert end <= owned.starts_us or (owned.ends_us is not None and owned.ends_us <= begin)

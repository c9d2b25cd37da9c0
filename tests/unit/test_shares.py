"""Places that are shared out among people."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from service_kit.shares import Share, ShareFullError, Shares


def test_a_share_that_contradicts_itself_is_refused() -> None:
    for wrong in ({"total": 1, "each": 2}, {"total": 0, "each": 0}, {"total": 2, "each": 1, "queued_each": 3, "queued_total": 2}):
        with pytest.raises(ValidationError):
            Share(**wrong)


def test_without_a_queue_whoever_finds_no_place_is_told_at_once_whose_fault_it_is() -> None:
    places = Shares(Share(total=3, each=2))
    places.take_at_once("a")
    places.take_at_once("a")
    with pytest.raises(ShareFullError) as own:
        places.take_at_once("a")
    places.take_at_once("b")
    with pytest.raises(ShareFullError) as all_taken:
        places.take_at_once("c")
    assert (own.value.own, all_taken.value.own) == (True, False)
    places.release("a")
    with places.place_at_once("c"):
        assert places.taken == 3
    assert places.taken == 2


async def test_a_person_with_many_waiting_requests_delays_others_by_one() -> None:
    places, order = Shares(Share(total=1, each=1, queued_each=20, queued_total=40)), []

    async def work(whose: str) -> None:
        async with places.place(whose):
            order.append(whose)
            await asyncio.sleep(0)

    greedy = [asyncio.create_task(work("greedy")) for _ in range(20)]
    await asyncio.sleep(0)
    await asyncio.gather(*(work(whose) for whose in ("b", "c")), *greedy)
    assert Counter(order) == {"greedy": 20, "b": 1, "c": 1}
    assert max(order.index("b"), order.index("c")) <= 4


async def test_queues_are_bounded_for_a_person_and_for_all() -> None:
    places = Shares(Share(total=1, each=1, queued_each=2, queued_total=3))
    await places.take("a")
    waiting = [asyncio.create_task(places.take(whose)) for whose in ("a", "a", "b")]
    await asyncio.sleep(0)
    with pytest.raises(ShareFullError) as own:
        await places.take("a")
    with pytest.raises(ShareFullError) as everybody:
        await places.take("c")
    assert (own.value.own, everybody.value.own) == (True, False)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    places.release("a")
    assert places.taken == 0
    await places.take("c")


async def test_a_waiter_who_gives_up_as_it_is_given_a_place_gives_it_on() -> None:
    places = Shares(Share(total=1, each=1, queued_each=2, queued_total=3))
    await places.take("a")
    waiting = asyncio.create_task(places.take("b"))
    await asyncio.sleep(0)
    places.release("a")
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert places.taken == 0
    await asyncio.wait_for(places.take("c"), 10)


STEPS = st.lists(st.tuples(st.sampled_from(["take", "give up", "release"]), st.integers(0, 3)), max_size=60)


@given(STEPS)
def test_places_are_never_more_than_there_are_nobody_has_more_than_their_share_and_none_is_idle(steps: list[tuple[str, int]]) -> None:
    """Whatever happens in whatever order: bounds hold, and nobody waits while there is a place for them."""
    asyncio.run(lived_through(steps))


async def lived_through(steps: list[tuple[str, int]]) -> None:
    share = Share(total=3, each=2, queued_each=2, queued_total=5)
    places = Shares(share)
    held: Counter[str] = Counter()
    waiting: list[tuple[str, asyncio.Task[None]]] = []
    for what, number in steps:
        whose = f"person {number}"
        if what == "take":
            waiting.append((whose, asyncio.create_task(places.take(whose))))
        elif what == "give up" and waiting:
            waiting[number % len(waiting)][1].cancel()
        elif what == "release" and held[whose]:
            held[whose] -= 1
            places.release(whose)
        for _ in range(3):
            await asyncio.sleep(0)
        still = []
        for person, task in waiting:
            if not task.done():
                still.append((person, task))
            elif not task.cancelled() and task.exception() is None:
                held[person] += 1
        waiting = still
        assert places.taken == held.total() <= share.total
        assert all(count <= share.each for count in held.values())
        assert held.total() == share.total or all(held[person] == share.each for person, _ in waiting)
    for _, task in waiting:
        task.cancel()
    await asyncio.gather(*(task for _, task in waiting), return_exceptions=True)

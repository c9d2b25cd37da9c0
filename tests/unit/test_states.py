"""The cache of states is bounded, and what a batch needs is never evicted under it."""

from __future__ import annotations

from stream_processor.domain.states import Page, StateCache


def filled(limit: int, pages: int) -> StateCache:
    """Pages (0, 0), (1, 0), … with a report each, the last one used last."""
    cache = StateCache(limit)
    for device in range(pages):
        cache.add_page((device, 0))
        cache.add((device, 0, "user"), 0)
    return cache


def cached(cache: StateCache, pages: int) -> list[Page]:
    return [(device, 0) for device in range(pages) if cache.row((device, 0, "user")) is not None]


def test_room_is_made_for_what_comes() -> None:
    cache = filled(4, 4)
    cache.make_room([(7, 0), (8, 0), (9, 0)])
    assert cached(cache, 4) == [(3, 0)]


def test_what_comes_and_is_cached_stays_however_long_ago_it_was_used() -> None:
    cache = filled(4, 4)
    cache.make_room([(0, 0), (1, 0), *((device, 0) for device in range(10, 20))])
    assert cached(cache, 4) == [(0, 0), (1, 0)]


def test_after_a_batch_the_limit_holds_again_and_rows_are_used_anew() -> None:
    cache = filled(4, 1_000)
    before = cache.folds.capacity
    cache.evict()
    assert cached(cache, 1_000) == [(device, 0) for device in range(996, 1_000)]
    for device in range(2_000, 2_000 + 996):
        cache.add_page((device, 0))
        cache.add((device, 0, "user"), 0)
    assert cache.folds.capacity == before

"""What is empty goes once it has stood for the time in which somebody may still write below it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from eraser.ports import Empty, EmptyRow
from eraser.standing import Standing

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
RULE = ("7", "e")


def seen(*rows: EmptyRow, database: str = "g1") -> list[tuple[str, Empty]]:
    return [(database, Empty("user_daily_reports", "me", rows))]


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def test_what_is_empty_goes_when_it_has_stood_for_long_enough() -> None:
    standing = Standing(180)
    assert standing.look(RULE, seen(("7", 12, 100)), NOW) == ([], True)
    assert standing.look(RULE, seen(("7", 12, 100)), after(179)) == ([], True)
    assert standing.look(RULE, seen(("7", 12, 100)), after(180)) == (seen(("7", 12, 100)), False)


def test_what_came_since_stays_and_what_was_there_goes() -> None:
    standing = Standing(180)
    standing.look(RULE, seen(("7", 12, 100)), NOW)
    assert standing.look(RULE, seen(("7", 12, 100), ("7", 13, 140)), after(180)) == (seen(("7", 12, 100)), True)
    assert standing.look(RULE, seen(("7", 13, 140)), after(359)) == ([], True)
    assert standing.look(RULE, seen(("7", 13, 140)), after(360)) == (seen(("7", 13, 140)), False)


def test_a_newer_version_and_a_row_that_came_back_wait_anew() -> None:
    standing = Standing(180)
    standing.look(RULE, seen(("7", 12, 100)), NOW)
    assert standing.look(RULE, seen(("7", 12, 101)), after(180)) == ([], True)
    assert standing.look(RULE, [], after(181)) == ([], False)
    assert standing.look(RULE, seen(("7", 12, 101)), after(400)) == ([], True)


def test_generations_and_rules_are_told_apart() -> None:
    standing = Standing(180)
    standing.look(RULE, seen(("7", 12, 100)), NOW)
    assert standing.look(("8", "e"), seen(("7", 12, 100)), after(180)) == ([], True)
    both = [*seen(("7", 12, 100)), *seen(("7", 12, 100), database="g2")]
    assert standing.look(RULE, both, after(180)) == (seen(("7", 12, 100)), True)


def test_a_look_that_breaks_off_forgets_nothing() -> None:
    def away() -> Iterator[tuple[str, Empty]]:
        yield from seen(("7", 12, 100))
        raise EOFError

    standing = Standing(180)
    standing.look(RULE, seen(("7", 12, 100)), NOW)
    with pytest.raises(EOFError):
        standing.look(RULE, away(), after(100))
    assert standing.look(RULE, seen(("7", 12, 100)), after(180)) == (seen(("7", 12, 100)), False)


def test_without_a_time_to_wait_for_it_goes_at_once() -> None:
    assert Standing(0).look(RULE, seen(("7", 12, 100)), NOW) == (seen(("7", 12, 100)), False)

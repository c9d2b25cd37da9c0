"""Two sides of a comparison side by side, each in the order of its keys: only one item of each is held, however many there are. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

K = TypeVar("K", bound=Any)
L = TypeVar("L")
R = TypeVar("R")


class OrderError(RuntimeError):
    """A side did not come in the order of its keys, each once: a comparison of it would say nothing."""


def aligned(left: Iterable[tuple[K, L]], right: Iterable[tuple[K, R]]) -> Iterator[tuple[K, L | None, R | None]]:
    """Every key of either side, in order, with what each side has under it; None where it has nothing. Raises OrderError."""
    one, other = _ordered(left), _ordered(right)
    mine, theirs = next(one, None), next(other, None)
    while True:
        if mine is not None and (theirs is None or mine[0] < theirs[0]):
            yield mine[0], mine[1], None
            mine = next(one, None)
        elif theirs is not None and (mine is None or theirs[0] < mine[0]):
            yield theirs[0], None, theirs[1]
            theirs = next(other, None)
        elif mine is not None and theirs is not None:
            yield mine[0], mine[1], theirs[1]
            mine, theirs = next(one, None), next(other, None)
        else:
            return


def _ordered(items: Iterable[tuple[K, Any]]) -> Iterator[tuple[K, Any]]:
    before: K | None = None
    for item in items:
        if before is not None and not before < item[0]:
            raise OrderError(f"{item[0]} comes after {before}")
        before = item[0]
        yield item

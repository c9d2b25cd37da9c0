"""Waiting that shows progress and has an end: there is no limit while something moves, and a limit for standing still."""

from __future__ import annotations

import time
from collections.abc import Callable

from cli.rebuild.progress import RebuildError

LOOK_S = 0.5
SAY_EVERY_S = 5.0
REST = 5


class Patience:
    """*stall_s*: seconds without any movement after which waiting ends; *check* is asked at each look and may raise."""

    def __init__(self, stall_s: float, say: Callable[[str], None], check: Callable[[], None]) -> None:
        self._stall_s = stall_s
        self._say = say
        self._check = check

    def reached(self, condition: Callable[[], bool], what: str) -> bool:
        """Whether *condition* came true in time."""
        self._say(f"waiting until {what}")
        until = time.monotonic() + self._stall_s
        while not condition():
            self._check()
            if time.monotonic() > until:
                return False
            time.sleep(LOOK_S)
        return True

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Raises RebuildError where it did not come true in time."""
        if not self.reached(condition, what):
            raise RebuildError(f"not within {self._stall_s:g} s: {what}; see `bionicpro status`, then start the rebuild again to go on")

    def until_few(self, left: Callable[[], int], few: int, what: str, again: Callable[[], None] | None = None) -> None:
        """Until *left* is at most *few*. Where it does not fall for a quarter of the time allowed, *again* is called once.

        Raises RebuildError where it stands still for all of it.
        """
        least, moved, told, asked, took = left(), time.monotonic(), 0.0, False, 0.0
        while least > few:
            self._check()
            now = time.monotonic()
            if now - told > SAY_EVERY_S:
                self._say(f"{least} {what}")
                told = now
            if now - moved > self._stall_s:
                raise RebuildError(f"{least} {what}, and nothing moves: see `bionicpro status`, then start the rebuild again to go on")
            if again is not None and not asked and now - moved > self._stall_s / 4:
                again()
                asked = True
            # To look may be work for a server: it rests longer than it looks.
            time.sleep(max(LOOK_S, REST * took))
            began = time.monotonic()
            current = left()
            took = time.monotonic() - began
            if current < least:
                least, moved, asked = current, now, False

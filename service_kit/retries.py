"""How something that failed is tried again: each pause is longer than the one before, no two programs pause alike, and there is an end.

`retrying` and `retrying_async` try one piece of work again, by tenacity. `BackOff` is for a loop that serves for as long as its program runs:
it only says how long to pause after the failures in a row.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tenacity
from tenacity.stop import stop_base

MOST_JITTER = 0.25
"""A pause is up to this part of itself longer, so that programs that failed together do not come again together."""


def pause_s(failures: int, first_s: float, most_s: float) -> float:
    """Seconds to pause after that many failures in a row (1 and more): *first_s*, then twice as long each time up to *most_s*, and the jitter."""
    doubled = first_s * 2.0 ** min(failures - 1, 60)
    return min(most_s, doubled) * random.uniform(1.0, 1.0 + MOST_JITTER)  # noqa: S311  nobody gains by guessing it


@dataclass(frozen=True, slots=True)
class Policy:
    """Seconds: the first pause, the longest, and for how long in all (*within_s*); how many *attempts*. One of the two ends, or both, must be given."""

    first_s: float
    most_s: float
    within_s: float | None = None
    attempts: int | None = None

    def __post_init__(self) -> None:
        if self.within_s is None and self.attempts is None:
            raise ValueError("a retry has an end: give within_s or attempts")


def retrying(
    policy: Policy,
    *,
    when: Callable[[BaseException], bool],
    before_pause: Callable[[Exception, float], None] = lambda _error, _pause_s: None,
    sleep: Callable[[float], None] = time.sleep,
) -> tenacity.Retrying:
    """Calls what it is given until that succeeds: ``retrying(…)(work)`` returns what *work* returns.

    An error for which *when* is true is followed by a pause and another attempt, unless the attempts are used up, or the pause would end
    later than *within_s* after the start. Then, as for any other error, the error is raised. *before_pause* is told the error and the pause.
    """
    return tenacity.Retrying(sleep=sleep, **_options(policy, when, before_pause))


def retrying_async(
    policy: Policy,
    *,
    when: Callable[[BaseException], bool],
    before_pause: Callable[[Exception, float], None] = lambda _error, _pause_s: None,
) -> tenacity.AsyncRetrying:
    """As `retrying`, for a coroutine function: ``await retrying_async(…)(work)``."""
    return tenacity.AsyncRetrying(**_options(policy, when, before_pause))


def _options(policy: Policy, when: Callable[[BaseException], bool], before_pause: Callable[[Exception, float], None]) -> dict[str, Any]:
    def tell(state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome is not None else None
        if isinstance(error, Exception):
            before_pause(error, state.upcoming_sleep)

    ends: list[stop_base] = []
    if policy.attempts is not None:
        ends.append(tenacity.stop_after_attempt(policy.attempts))
    if policy.within_s is not None:
        ends.append(tenacity.stop_before_delay(policy.within_s))
    return {
        "retry": tenacity.retry_if_exception(when),
        "wait": lambda state: pause_s(state.attempt_number, policy.first_s, policy.most_s),
        "stop": tenacity.stop_any(*ends),
        "before_sleep": tell,
        "reraise": True,
    }


class BackOff:
    """The pauses of one loop. It may be used by several threads."""

    def __init__(self, *, first_s: float, most_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._first_s = first_s
        self._most_s = most_s
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._failing_since = 0.0
        self._until = float("-inf")

    def failed(self) -> float:
        """Note a failure; returns how many seconds to pause. A failure during the pause of another is not counted: it has the same cause."""
        with self._lock:
            now = self._clock()
            if now >= self._until:
                if self._failures == 0:
                    self._failing_since = now
                self._failures += 1
                self._until = now + pause_s(self._failures, self._first_s, self._most_s)
            return self._until - now

    def succeeded(self) -> None:
        """Note a success: the next failure is the first one."""
        with self._lock:
            self._failures = 0
            self._until = float("-inf")

    def remaining_s(self) -> float:
        """Seconds until the next attempt may be made; 0 if now."""
        return max(0.0, self._until - self._clock())

    def failing_s(self) -> float:
        """For how long all attempts have failed; 0 after a success."""
        with self._lock:
            return self._clock() - self._failing_since if self._failures else 0.0

"""When a connector whose task FAILED is started again by the product itself: with a growing pause, and with an end. Pure but for what it remembers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from connectors.apply import ConnectorStatus

FIRST_PAUSE_S = 5.0
MAX_PAUSE_S = 300.0
ATTEMPTS = 10  # with the pauses above: for about half an hour
WELL_AFTER_S = 600.0  # a connector that ran for so long is well; its next failure is another one

Action = Literal["none", "wait", "restart", "given up"]


@dataclass
class _History:
    attempts: int = 0
    tried_at: float = float("-inf")
    runs_since: float | None = None


@dataclass
class Healing:
    """What was tried for each connector. Times are those of a clock that never goes back, in seconds."""

    histories: dict[str, _History] = field(default_factory=dict)

    def step(self, status: ConnectorStatus, now: float) -> Action:
        """What to do about one connector now; ``restart`` counts as an attempt. One that somebody stopped or paused is left alone."""
        history = self.histories.setdefault(status.name, _History())
        if not status.failed:
            self._not_failed(history, running=status.running, now=now)
            return "none"
        history.runs_since = None
        if history.attempts >= ATTEMPTS:
            return "given up"
        if now < history.tried_at + pause_s(history.attempts):
            return "wait"
        history.attempts += 1
        history.tried_at = now
        return "restart"

    def attempts(self, name: str) -> int:
        """How often *name* was restarted since it last was well."""
        return self.histories[name].attempts if name in self.histories else 0

    @staticmethod
    def _not_failed(history: _History, *, running: bool, now: float) -> None:
        if not running:
            history.runs_since = None
            return
        if history.runs_since is None:
            history.runs_since = now
        # One that was given up and runs was started by a person.
        if history.attempts >= ATTEMPTS or now - history.runs_since >= WELL_AFTER_S:
            history.attempts = 0


def pause_s(attempts: int) -> float:
    """How long after an attempt the next one is due; none before the first."""
    return 0.0 if attempts == 0 else min(MAX_PAUSE_S, FIRST_PAUSE_S * 2.0 ** (attempts - 1))

"""Faults that wait for their moment: the next time that an effect is about to happen, it goes wrong in the way that was chosen."""

from __future__ import annotations

from collections import Counter

from tests.simulation.store import Fault


class Faults:
    """*met* counts what really went wrong: (effect, fault)."""

    def __init__(self) -> None:
        self.met: Counter[tuple[str, str]] = Counter()
        self.store_is_away = False
        self._armed: list[tuple[str, Fault]] = []

    def arm(self, effect: str, fault: Fault) -> None:
        self._armed.append((effect, fault))

    def disarm(self) -> None:
        self._armed.clear()
        self.store_is_away = False

    def take(self, effect: str) -> Fault | None:
        for i, (wanted, fault) in enumerate(self._armed):
            if wanted == effect:
                del self._armed[i]
                self.met[effect, fault.value] += 1
                return fault
        return None

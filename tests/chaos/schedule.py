"""A schedule of faults, made from a seed and nothing else. Pure."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass
from typing import Any

from tests.chaos.armory import POINTS

SERVERS = ("connect", "clickhouse", "kafka", "postgres")
GATES = ("clickhouse", "kafka", "postgres")
SLOTS = 3
STAFF = (1, 2, 1, 3, 2)
KILL_POINTS = 3
MIN_SECONDS = 45
LAST_CALM_S = 3.0


@dataclass(frozen=True)
class Fault:
    """*kind* happens to *target* at *at_s* after the schedule's beginning, for *seconds* (0: at once)."""

    at_s: float
    kind: str
    target: str
    seconds: float = 0.0


@dataclass(frozen=True)
class Schedule:
    """*workers*: how many there are at the beginning. *static*: members of the group keep their names over a restart."""

    seed: int
    seconds: float
    workers: int
    static: bool
    faults: tuple[Fault, ...]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def schedule(seed: int, seconds: float = MIN_SECONDS) -> Schedule:
    """At least seven faults. Kill points, servers, gates and kinds go round with the seed, so that consecutive seeds reach all of them alike."""
    chance = random.Random(f"faults {seed}")
    workers = STAFF[seed % len(STAFF)]
    wanted = [("kill-point", POINTS[(seed * KILL_POINTS + i) % len(POINTS)], 0.0) for i in range(KILL_POINTS)]
    wanted.append(("freeze-point", POINTS[(seed * 7 + 3) % len(POINTS)], _seconds(chance, 8, 12)))
    wanted.append(("kill-server", SERVERS[seed % len(SERVERS)], chance.choice((0.0, _seconds(chance, 2, 6)))))
    wanted.append(_of_gate(seed // 2, chance))
    wanted.append(_of_workers(seed // 3, chance))
    for _ in range(chance.randrange(3)):
        wanted.append(_any(chance))
    chance.shuffle(wanted)
    span = (seconds - LAST_CALM_S - 2.0) / len(wanted)
    faults = [Fault(round(2.0 + span * (i + chance.random() * 0.8), 2), *fault) for i, fault in enumerate(wanted)]
    return Schedule(seed, seconds, workers, chance.random() < 0.5, tuple(faults))


def _of_gate(turn: int, chance: random.Random) -> tuple[str, str, float]:
    kind = ("cut", "refuse", "stall")[turn % 3]
    return kind, GATES[turn // 3 % len(GATES)], 0.0 if kind == "cut" else _seconds(chance, 3, 9)


def _of_workers(turn: int, chance: random.Random) -> tuple[str, str, float]:
    kind = ("add-worker", "remove-worker", "freeze-worker", "replace-worker", "kill-worker")[turn % 5]
    return kind, str(chance.randrange(SLOTS)), _seconds(chance, 8, 12) if kind in {"freeze-worker", "replace-worker"} else 0.0


def _any(chance: random.Random) -> tuple[str, str, float]:
    match chance.randrange(4):
        case 0:
            return "kill-point", chance.choice(POINTS), 0.0
        case 1:
            return _of_gate(chance.randrange(9), chance)
        case 2:
            return "kill-server", chance.choice((*SERVERS, "eraser")), 0.0
        case _:
            return _of_workers(chance.randrange(5), chance)


def _seconds(chance: random.Random, low: float, high: float) -> float:
    return round(chance.uniform(low, high), 1)

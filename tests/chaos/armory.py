"""Named places in the processor at which it can be made to die or to freeze. Arming is a file, so that a test arms what runs in another process.

``<folder>/armed/<point>`` holds what is to happen to the first worker that reaches the point; the worker takes the file away, so it happens once.
``<folder>/hits.jsonl`` has a line for each that happened, written before the worker dies of it.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

Action = Literal["kill", "freeze"]
SIGNALS = {"kill": signal.SIGKILL, "freeze": signal.SIGSTOP}

# Between every two effects of a batch; within a recompute, also between its windows; around the directory's, the dead letters' and Faust's own effects.
POINTS = (
    "before-raw",
    "after-raw",
    "after-announce",
    "after-mart",
    "after-states",
    "after-ownership",
    "after-progress",
    "before-acknowledgement",
    "after-acknowledgement",
    "before-commit",
    "after-commit",
    "recompute-begins",
    "recompute-after-announce",
    "recompute-after-mart",
    "recompute-after-states",
    "recompute-between-windows",
    "directory-before-send",
    "directory-between-sends",
    "directory-before-acknowledgement",
    "dead-letters-before-send",
    "dead-letters-after-send",
    "assigned-before-check",
    "assigned-after-check",
)


@dataclass(frozen=True)
class Hit:
    """A worker (process *pid*) reached *point* at *at* (Unix time) and *action* happened to it."""

    point: str
    action: Action
    pid: int
    at: float


class Armory:
    """The files of one set of workers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._armed = folder / "armed"
        self._hits = folder / "hits.jsonl"
        self._armed.mkdir(parents=True, exist_ok=True)

    def arm(self, point: str, action: Action) -> None:
        """The next worker to reach *point* gets *action*."""
        if point not in POINTS:
            raise ValueError(f"unknown kill point {point!r}")
        fresh = self.folder / f"{point}.new"
        fresh.write_text(action, encoding="utf-8")
        fresh.replace(self._armed / point)

    def is_armed(self, point: str) -> bool:
        return (self._armed / point).exists()

    def armed(self) -> list[str]:
        return sorted(file.name for file in self._armed.iterdir())

    def disarm(self) -> list[str]:
        """Take away what nobody reached; its points."""
        left = self.armed()
        for point in left:
            (self._armed / point).unlink(missing_ok=True)
        return left

    def hits(self) -> Iterator[Hit]:
        if self._hits.exists():
            for line in self._hits.read_text(encoding="utf-8").splitlines():
                yield Hit(**json.loads(line))

    def reach(self, point: str) -> None:
        """Called by the worker at *point*. Cheap where nothing is armed."""
        taken = self.folder / f"{point}.{os.getpid()}"
        try:
            (self._armed / point).rename(taken)
        except FileNotFoundError:
            return
        action: Action = "freeze" if taken.read_text(encoding="utf-8") == "freeze" else "kill"
        taken.unlink()
        hit = Hit(point, action, os.getpid(), time.time())
        descriptor = os.open(self._hits, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.write(descriptor, (json.dumps(asdict(hit)) + "\n").encode())
        os.close(descriptor)
        os.kill(os.getpid(), SIGNALS[action])

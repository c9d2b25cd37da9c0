"""The processor's workers of a lane: kept running as a supervisor would, and killed, frozen, woken, added and removed.

One that ends with 78 stays down, until whoever decides has it started again: by ``resume``, or by making the file ``start_file``, as the command that a rebuild is given does.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from local.ports import any_free
from service_kit import processes
from service_kit.settings import EXIT_BAD_SETTINGS
from tests.chaos.armory import Armory
from tests.chaos.worker import FOLDER

REPOSITORY = Path(__file__).parents[2]
LOOK_S = 0.1
RESTART_PAUSE_S = 0.3
STOP_LIMIT_S = 15.0
FREEZE_S = 9.0
ZOMBIE_LIVES_S = 8.0


@dataclass(frozen=True)
class Ended:
    """A worker's end: *code* as subprocess has it (−9: killed)."""

    slot: int
    code: int
    at: float
    asked: bool


@dataclass
class _Process:
    slot: int
    handle: subprocess.Popen[bytes]
    frozen_at: float | None = None
    leave_at: float | None = None  # a zombie's end, once it was woken
    asked: bool = False


@dataclass
class Workers:
    """*static*: the worker of a slot keeps its name in the group."""

    variables: Mapping[str, str]
    folder: Path
    armory: Armory
    static: bool = False
    freeze_s: float = FREEZE_S
    ended: list[Ended] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lock = threading.RLock()
        self._running: dict[int, _Process] = {}
        self._zombies: list[_Process] = []
        self._wanted: set[int] = set()
        self._down: set[int] = set()
        self._resting = False
        self._again_at: dict[int, float] = {}
        self._starts = 0
        self._enough = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="keeper", daemon=True)
        self._keeper.start()

    @property
    def wanted(self) -> set[int]:
        with self._lock:
            return set(self._wanted)

    @property
    def start_file(self) -> Path:
        return self.folder / "start-workers"

    @property
    def down(self) -> set[int]:
        """Slots whose workers ended because somebody has to decide."""
        with self._lock:
            return set(self._down)

    @property
    def all_frozen(self) -> bool:
        """Whether each that is wanted stands still."""
        with self._lock:
            return all(slot in self._running and _is_stopped(self._running[slot].handle.pid) for slot in self._wanted)

    def add(self, slot: int) -> None:
        with self._lock:
            self._wanted.add(slot)

    def remove(self, slot: int) -> None:
        """Orderly, as a deployment does; by force where that takes too long."""
        with self._lock:
            self._wanted.discard(slot)
            self._down.discard(slot)
            process = self._running.pop(slot, None)
        self._end(process)

    def stop(self) -> None:
        """All end in an orderly way, and none is started before ``resume``."""
        with self._lock:
            self._resting = True
            running, self._running = [*self._running.values(), *self._zombies], {}
            self._zombies = []
        for process in running:
            self._end(process)

    def resume(self) -> None:
        """Start those that are wanted and do not run, whatever they ended with."""
        with self._lock:
            self._resting = False
            self._down.clear()

    def kill(self, slot: int) -> None:
        with self._lock:
            process = self._running.get(slot)
        if process is not None:
            _signal(process, signal.SIGKILL)

    def freeze(self, slot: int, seconds: float) -> None:
        """Stopped without a word, and woken after *seconds*."""
        with self._lock:
            self.freeze_s = seconds
            process = self._running.get(slot)
        if process is not None:
            _signal(process, signal.SIGSTOP)

    def replace(self, slot: int, seconds: float) -> None:
        """Frozen, a new one in its place at once; woken after *seconds* it is a zombie, which is killed later if it does not end by itself."""
        with self._lock:
            self.freeze_s = seconds
            process = self._running.pop(slot, None)
            if process is not None:
                _signal(process, signal.SIGSTOP)
                self._zombies.append(process)

    def calm(self) -> None:
        """Wake everybody, end zombies."""
        with self._lock:
            for process in [*self._running.values(), *self._zombies]:
                _signal(process, signal.SIGCONT)
                process.frozen_at = None
            for zombie in self._zombies:
                zombie.leave_at = zombie.leave_at or time.monotonic() + ZOMBIE_LIVES_S

    def rest(self) -> None:
        """No worker is wanted any more."""
        for slot in sorted(self.wanted):
            self.remove(slot)
        with self._lock:
            for zombie in self._zombies:
                _signal(zombie, signal.SIGKILL)
                zombie.handle.wait(STOP_LIMIT_S)
            self._zombies.clear()

    def close(self) -> None:
        self.rest()
        self._enough.set()
        self._keeper.join(STOP_LIMIT_S)

    # -- keeping --------------------------------------------------------------------------------------------------------

    def _keep(self) -> None:
        while not self._enough.wait(LOOK_S):
            with self._lock:
                self._look()

    def _look(self) -> None:
        now = time.monotonic()
        if self.start_file.exists():
            self.start_file.unlink()
            self.resume()
        for process in [*self._running.values(), *self._zombies]:
            if process.handle.poll() is not None:
                self._note(process)
                if process in self._zombies:
                    self._zombies.remove(process)
                else:
                    del self._running[process.slot]
                    if process.handle.returncode == EXIT_BAD_SETTINGS:
                        self._down.add(process.slot)
                    self._again_at[process.slot] = now + RESTART_PAUSE_S
            else:
                self._wake(process, now)
        for slot in set() if self._resting else self._wanted - self._running.keys() - self._down:
            if now >= self._again_at.get(slot, 0.0):
                self._running[slot] = self._start(slot)

    def _wake(self, process: _Process, now: float) -> None:
        if _is_stopped(process.handle.pid):
            process.frozen_at = process.frozen_at or now
            if now - process.frozen_at >= self.freeze_s:
                _signal(process, signal.SIGCONT)
                process.frozen_at = None
                if process in self._zombies:
                    process.leave_at = now + ZOMBIE_LIVES_S
        elif process.leave_at is not None and now >= process.leave_at:
            _signal(process, signal.SIGKILL)

    def _start(self, slot: int) -> _Process:
        self._starts += 1
        variables = {
            **self.variables,
            FOLDER: str(self.armory.folder),
            "BIONICPRO_PROCESSOR__PORT": str(any_free(1)[0]),
            "BIONICPRO_PROCESSOR__DATA_DIR": str(self.folder / f"data-{self._starts}"),
            "BIONICPRO_PROCESSOR__INSTANCE_ID": f"chaos-{slot}",
        }
        if not self.static:
            del variables["BIONICPRO_PROCESSOR__INSTANCE_ID"]
        with (self.folder / f"worker-{slot}.log").open("ab") as output:
            handle = subprocess.Popen(
                [sys.executable, "-m", "tests.chaos.worker"], cwd=REPOSITORY, env=os.environ | variables, stdout=output, stderr=output
            )
        return _Process(slot, handle)

    def _end(self, process: _Process | None) -> None:
        if process is not None:
            process.asked = True
            _signal(process, signal.SIGCONT)
            processes.end(process.handle, STOP_LIMIT_S)
            self._note(process)

    def _note(self, process: _Process) -> None:
        self.ended.append(Ended(process.slot, process.handle.returncode, time.time(), process.asked))


def _signal(process: _Process, number: signal.Signals) -> None:
    if process.handle.poll() is None:
        process.handle.send_signal(number)


def _is_stopped(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "T"
    except (FileNotFoundError, ProcessLookupError):
        return False

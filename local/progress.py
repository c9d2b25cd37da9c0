"""How long something that starts is waited for: as long as it makes progress. A busy machine makes everything slow, and slow is not broken.

Progress is what the processes write, and the time in which they computed or stood in the queue for a processor: one that waits for nothing but
its turn wants to go on, one that does neither is stuck. Standard library only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from service_kit import listeners

STILL_S = 120.0
"""A window of this length without progress is the end."""
LEAST_SHARE = 0.05
"""Of a window, spent computing or in the queue: an idle JVM stays below it."""
WHOLE_S = 7200.0
"""The end, whatever happens."""
MOST_RESTARTS = 20
PROC = Path("/proc")


@dataclass(frozen=True)
class Sign:
    """What shows of the processes: seconds of computing and queueing, bytes written, and which process is the first of them (0: none)."""

    busy_s: float
    written: int
    pid: int = 0


class Patience:
    """Told what was seen, again and again, says when to give up. *began* and every *now* are seconds of one monotonic clock."""

    def __init__(self, began: float, *, still_s: float = STILL_S, whole_s: float = WHOLE_S) -> None:
        self._began = began
        self._still_s = still_s
        self._whole_s = whole_s
        self._window, self._at_window = began, Sign(0.0, 0)
        self._pid, self._restarts = 0, 0

    def exhausted(self, now: float, seen: Sign) -> str | None:
        """Why to wait no longer, to stand behind a name ("it …"); None while there is hope."""
        if seen.pid and seen.pid != self._pid:
            self._restarts += self._pid != 0
            self._pid = seen.pid
        if self._restarts >= MOST_RESTARTS:
            return f"ended {self._restarts} times"
        if now - self._began > self._whole_s:
            return f"was not done after {self._whole_s:.0f} s"
        if now - self._window < self._still_s:
            return None
        busy = seen.busy_s - self._at_window.busy_s
        # A restarted process begins to count anew: less than before is movement too.
        moved = seen.written != self._at_window.written or busy < 0 or busy >= LEAST_SHARE * (now - self._window)
        if not moved:
            return f"did nothing for {now - self._window:.0f} s"
        self._window, self._at_window = now, seen
        return None


def sign(pid: int, files: Iterable[Path]) -> Sign:
    """Of the process *pid* with all that it started, and of the *files* that they write; a *pid* of 0 is no process."""
    pids = {pid} | listeners.descendants(pid, listeners.parents()) if pid else set()
    return Sign(sum(_busy_s(each) for each in pids), sum(_size(file) for file in files), pid)


def _busy_s(pid: int) -> float:
    """Seconds in which threads of *pid* ran or stood in the run queue: the first two numbers of schedstat, in nanoseconds."""
    try:
        threads = list((PROC / str(pid) / "task").iterdir())
    except OSError:  # it has just ended
        return 0.0
    return sum(_thread_busy_s(thread) for thread in threads)


def _thread_busy_s(thread: Path) -> float:
    try:
        ran, queued, *_ = (thread / "schedstat").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return 0.0
    return (int(ran) + int(queued)) / 1e9


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0

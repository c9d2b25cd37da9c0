"""CPU time and memory of processes, as the kernel counts them (``/proc``)."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Usage:
    """CPU-seconds since the process began, those of its children included; the peak of its own resident memory."""

    cpu_s: float
    peak_rss_mib: float


def usage_of(pid: int) -> Usage:
    """Of process *pid* with all its living descendants and those it has waited for. Raises ProcessLookupError where it has ended."""
    children = _children()
    pids, found = [pid], []
    while pids:
        current = pids.pop()
        found.append(current)
        pids += children.get(current, [])
    ticks = [_ticks(one) for one in found]
    if ticks[0] is None:
        raise ProcessLookupError(f"process {pid} has ended")
    return Usage(sum(one for one in ticks if one is not None) / TICKS_PER_S, peak_mib(pid))


def _stat(pid: int) -> list[str] | None:
    """The fields of ``/proc/PID/stat`` after the program's name: state, parent, …; None where the process has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def _ticks(pid: int) -> int | None:
    """User and system time, own and of children waited for."""
    fields = _stat(pid)
    return sum(int(field) for field in fields[11:15]) if fields else None


def _children() -> dict[int, list[int]]:
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    return children


def peak_mib(pid: int) -> float:
    """The most resident memory that the process had since it began its program; 0 where it has ended."""
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    found = re.search(r"^VmHWM:\s+(\d+) kB$", text, re.MULTILINE)
    return int(found[1]) / 1024 if found else 0.0

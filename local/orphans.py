"""Programs whose supervisor was killed: found, and ended before the instance starts again, since they hold its data and ports."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from local.instance import Instance
from local.servers import postgres, redis
from local.supervision import alive, wait_until

END_LIMIT_S = 20


def orphans(instance: Instance) -> list[int]:
    """Process ids of what this instance's supervisor started and left.

    supervisord names its socket in each child's environment. PostgreSQL and Redis write their titles over that: they are known by
    their program and its working folder, which is their data.
    """
    mark = f"SUPERVISOR_SERVER_URL=unix://{instance.socket}".encode()
    titled = {
        ((postgres.binaries() / "postgres").resolve(), postgres.data_directory(instance).resolve()),
        (redis.binary().resolve(), instance.data("redis").resolve()),
    }
    return [pid for pid in _all_pids() if mark in _environment(pid) or _program_and_folder(pid) in titled]


def end(instance: Instance) -> int:
    """End them, politely and then not; how many there were. Call only when the supervisor does not run."""
    found = orphans(instance)
    for number, limit_s in ((signal.SIGTERM, END_LIMIT_S / 2), (signal.SIGINT, END_LIMIT_S / 2), (signal.SIGKILL, END_LIMIT_S)):
        left = [pid for pid in found if alive(pid)]
        for pid in left:
            _signal(pid, number)
        if wait_until(lambda: not any(alive(pid) for pid in found), limit_s if left else 0):
            return len(found)
    raise RuntimeError(f"processes {found} of an earlier run do not end; end them by hand")


def _all_pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:  # another user's, or just ended: not ours
        return []


def _program_and_folder(pid: int) -> tuple[Path, Path] | None:
    try:
        return Path(f"/proc/{pid}/exe").readlink(), Path(f"/proc/{pid}/cwd").readlink()
    except OSError:  # as above
        return None


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return

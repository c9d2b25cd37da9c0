"""A small file system of its own, in memory, mounted over the data of a server that rests: to be filled, and emptied again. Only root may mount one."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from pathlib import Path

from tests.support.server_data import copy, remove

LIMIT_S = 60
SPARE_BYTES = 96 << 20
BALLAST = "ballast"
ATTEMPTS = 100


def why_not() -> str | None:
    """What keeps us from mounting one; None where nothing does."""
    with tempfile.TemporaryDirectory(prefix="bionicpro-disk-") as folder:
        try:
            _mount(Path(folder), 1 << 20)
        except (OSError, subprocess.SubprocessError) as error:
            return f"no file system can be mounted here ({getattr(error, 'stderr', '') or error})"
        release(Path(folder))
    return None


def put_under(data: Path) -> None:
    """Move *data* to a file system with little more room than they need; what they were lies below it. Idempotent."""
    if os.path.ismount(data):
        return
    found, below = data.stat(), os.open(data, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _mount(data, _used(data) + SPARE_BYTES)
        os.chown(data, found.st_uid, found.st_gid)
        data.chmod(found.st_mode)
        _run("cp", "-a", f"/proc/self/fd/{below}/.", str(data), pass_fds=(below,))
    finally:
        os.close(below)


def fill(data: Path) -> None:
    """Take all that is free, until ``empty``. Idempotent."""
    descriptor = os.open(data / BALLAST, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        for _ in range(ATTEMPTS):
            found = os.fstatvfs(descriptor)
            if not found.f_bavail:
                return
            # The server may take some of it at the same moment; then we get nothing, and ask for less.
            with contextlib.suppress(OSError):
                os.posix_fallocate(descriptor, os.fstat(descriptor).st_size, found.f_bavail * found.f_frsize)
    finally:
        os.close(descriptor)


def empty(data: Path) -> None:
    (data / BALLAST).unlink(missing_ok=True)


def take_away(data: Path) -> None:
    """Move *data* back to the disk where they were. Idempotent."""
    if not os.path.ismount(data):
        return
    fresh = data.with_name(f"{data.name}-fresh")
    remove(fresh)
    copy(data, fresh)
    release(data)
    remove(data)
    fresh.rename(data)


def release(data: Path) -> None:
    """Unmount what is mounted over *data*, with all that is on it."""
    if os.path.ismount(data):
        _run("umount", str(data))


def _mount(folder: Path, size: int) -> None:
    _run("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder))


def _used(folder: Path) -> int:
    return int(_run("du", "-s", "--block-size=1", str(folder)).split()[0])


def _run(*command: str, pass_fds: tuple[int, ...] = ()) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=LIMIT_S, pass_fds=pass_fds).stdout

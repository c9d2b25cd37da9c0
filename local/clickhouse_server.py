"""ClickHouse as a server out of the chdb-core wheel: ``clickhouse_server.py FOLDER``; config.xml, users.xml and the data stand in FOLDER.

The extension's one query opens the listener and then opens a named pipe for writing, which waits until somebody reads: that is how long the server
serves. A thread opens the reading end on SIGTERM or SIGINT: the clean stop. The package ``chdb`` is not imported, since that opens a session of its own.

Two doors of this form of the server are closed here and in the templates:

* The extension's own session is ``default`` without a password. It needs no right but to open listeners (a named pipe that is written to is the
  client's business, no table function), and takes the one session that this account may have, before the listener is open.
* The scalar function ``file`` reads any file, whatever the account may do. So FOLDER becomes the process's root before the first query:
  by chroot, as root or in a user namespace of our own. Where the kernel allows neither, a line in the log says so.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import os
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

FIFO = "serving.fifo"
CLONE_NEWUSER = 0x10000000
# The server asks here for its memory; inside its folder there is no /proc but this file, kept up to date.
MEMORY = Path("proc/self/statm")
MEMORY_BYTES = 128
MEMORY_EVERY_S = 1.0
OPEN_AND_SERVE = f"SYSTEM START LISTEN TCP; SELECT 1 INTO OUTFILE '{FIFO}' APPEND"


def main(folder: Path) -> int:
    os.umask(0o077)
    confined = _may_confine()  # before the extension has threads: a process with threads gets no user namespace
    extension = _extension()
    os.chdir(folder)
    Path(FIFO).unlink(missing_ok=True)
    os.mkfifo(FIFO, 0o600)
    _keep_memory_file()
    if confined:
        os.chroot(".")
    else:
        print(
            "clickhouse: this kernel lets us confine nothing: accounts with a password can read files of this user by SQL",
            file=sys.stderr,
            flush=True,
        )
    threading.Thread(target=_read_at, args=(_stop_pipe(),), daemon=True, name="fifo-reader").start()
    extension.query(OPEN_AND_SERVE, "CSV", path="/" if confined else str(folder))
    return 0


def _may_confine() -> bool:
    """Whether this process may change its root: it is root, or was given a user namespace now."""
    if os.geteuid() == 0:
        return True
    user, group = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWUSER) != 0:
        return False
    try:
        for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
            Path(f"/proc/self/{name}").write_text(text, encoding="ascii")
        os.chroot("/")
    except OSError:
        return False
    return True


def _keep_memory_file() -> None:
    MEMORY.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    source = os.open("/proc/self/statm", os.O_RDONLY)
    copy = os.open(MEMORY, os.O_RDWR | os.O_CREAT, 0o600)
    _copy_memory(source, copy)
    threading.Thread(target=_copying_memory, args=(source, copy), daemon=True, name="memory").start()


def _copying_memory(source: int, copy: int) -> None:
    while True:
        time.sleep(MEMORY_EVERY_S)
        _copy_memory(source, copy)


def _copy_memory(source: int, copy: int) -> None:
    """One write of one length, so that a reader never sees half of it."""
    os.pwrite(copy, os.pread(source, MEMORY_BYTES, 0).rstrip().ljust(MEMORY_BYTES, b"\n"), 0)


def _stop_pipe() -> int:
    """The reading end of a pipe that gets a byte at each SIGTERM or SIGINT, also while the main thread is inside the extension."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _noted)
        signal.siginterrupt(number, False)  # the waiting open goes on: it ends by the reader, not by the signal
    return reading


def _noted(_number: int, _frame: FrameType | None) -> None:
    """A handler must exist for the wake-up descriptor to be written; the writing is all that is needed."""


def _read_at(stop: int) -> None:
    os.read(stop, 1)
    reader = os.open(FIFO, os.O_RDONLY)
    while os.read(reader, 4096):
        pass


def _extension() -> Any:
    spec = importlib.util.find_spec("chdb")
    if spec is None or spec.origin is None:
        raise SystemExit("the chdb-core wheel is not installed: run `make prepare`")
    sys.path.insert(0, str(Path(spec.origin).parent))
    return importlib.import_module("_chdb")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

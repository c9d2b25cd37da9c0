"""ClickHouse as a server out of the chdb-core wheel: ``clickhouse_server.py DATA FIFO``, started in the folder of its config.xml.

The extension's one query reads a named pipe and serves until the pipe's last writer closes it. A thread holds that writer
and closes it on SIGTERM or SIGINT: the clean stop. The package ``chdb`` is not imported, since that opens a session of its own.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any


def main(data: Path, fifo: Path) -> int:
    fifo.unlink(missing_ok=True)
    os.mkfifo(fifo, 0o600)
    stop = _stop_pipe()
    threading.Thread(target=_hold_open, args=(fifo, stop), daemon=True, name="fifo-writer").start()
    listen = "SYSTEM START LISTEN TCP; SYSTEM START LISTEN HTTP; "
    _extension().query(f"{listen}SELECT count() FROM file('{fifo}', 'LineAsString')", "CSV", path=str(data))  # noqa: S608  our own path
    return 0


def _stop_pipe() -> int:
    """The reading end of a pipe that gets a byte at each SIGTERM or SIGINT, also while the main thread is inside the extension."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _noted)
    return reading


def _noted(_number: int, _frame: FrameType | None) -> None:
    """A handler must exist for the wake-up descriptor to be written; the writing is all that is needed."""


def _hold_open(fifo: Path, stop: int) -> None:
    writer = os.open(fifo, os.O_WRONLY)
    os.read(stop, 1)
    os.close(writer)


def _extension() -> Any:
    spec = importlib.util.find_spec("chdb")
    if spec is None or spec.origin is None:
        raise SystemExit("the chdb-core wheel is not installed: run `make prepare`")
    sys.path.insert(0, str(Path(spec.origin).parent))
    return importlib.import_module("_chdb")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))

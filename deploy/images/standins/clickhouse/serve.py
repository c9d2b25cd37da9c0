"""The server out of the wheel: its one query opens the listener and waits until the named pipe has a reader, which it gets at SIGTERM.

The container is this process's confinement; local/clickhouse_server.py, which says more of how this works, has to make one of its own.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
from pathlib import Path

CONFIGURATION = "/etc/clickhouse-server"
DATA = "/var/lib/clickhouse"
FIFO = f"{DATA}/serving.fifo"


def read_at(stop: int) -> None:
    os.read(stop, 1)
    with Path(FIFO).open("rb") as reader:
        while reader.read(4096):
            pass


def main() -> None:
    os.umask(0o077)
    os.chdir(CONFIGURATION)
    sys.path.insert(0, next(str(path) for path in Path("/opt/venv/lib").glob("python*/site-packages/chdb")))
    extension = importlib.import_module("_chdb")
    Path(FIFO).unlink(missing_ok=True)
    os.mkfifo(FIFO, 0o600)
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
        signal.siginterrupt(number, False)
    threading.Thread(target=read_at, args=(reading,), daemon=True).start()
    extension.query(f"SYSTEM START LISTEN TCP; SELECT 1 INTO OUTFILE '{FIFO}' APPEND", "CSV", path=DATA)


if __name__ == "__main__":
    main()

"""Programs that we run to their end: their output kept, their end waited for as long as they make progress, all of them stopped at once where
one lane has failed or somebody pressed Ctrl-C. Standard library only.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent import futures as futures_of
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from local.progress import Patience, Sign, sign
from service_kit import listeners

LOOK_S = 0.05
AWAKE_S = 0.2
SIGN_EVERY_S = 5.0
END_LIMIT_S = 5.0
_stopping = threading.Event()


class StoppedError(Exception):
    """The preparation is being stopped: nothing new is started."""


class StuckError(RuntimeError):
    """A program made no progress and was ended."""


def run(
    command: Sequence[str], *, environment: Mapping[str, str] | None = None, cwd: Path | str | None = None, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run *command* to its end; its output as text. Raises StoppedError, or StuckError naming it; *options* are Popen's."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        refuse_if_stopping()
        process = subprocess.Popen(command, env=environment, cwd=cwd, stdin=subprocess.DEVNULL, stdout=out, stderr=err, **options)
        try:
            wait(process, Path(command[0]).name, (out.fileno(), err.fileno()))
        except BaseException:
            end(process)
            raise
        return subprocess.CompletedProcess(list(command), process.returncode, _text(out), _text(err))


def wait(process: subprocess.Popen[Any], name: str, outputs: Sequence[int]) -> None:
    """Until *process* ends, for as long as it makes progress. Raises StoppedError or StuckError; the process is left to the caller then."""
    patience, looked = Patience(time.monotonic()), time.monotonic()
    while True:
        try:
            process.wait(LOOK_S)
        except subprocess.TimeoutExpired:
            refuse_if_stopping()
        else:
            return
        now = time.monotonic()
        if now - looked >= SIGN_EVERY_S:
            looked, seen = now, sign(process.pid, ())
            if why := patience.exhausted(now, Sign(seen.busy_s, sum(os.fstat(output).st_size for output in outputs), seen.pid)):
                raise StuckError(f"{name} {why} and was ended")


def end(process: subprocess.Popen[Any]) -> None:
    """End *process* and all that it started: politely, then not."""
    family = [process.pid, *listeners.descendants(process.pid, listeners.parents())]
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in family:
            _signal(pid, number)
        try:
            process.wait(END_LIMIT_S)
        except subprocess.TimeoutExpired:
            continue
    process.wait()


def all_done(futures: Sequence[Future[Any]]) -> None:
    """Until all *futures* are done, or one has failed; raises what it raised.

    Looks again and again: the kernel may give a Ctrl-C to any thread, and Python's handler runs only once the main thread wakes up.
    """
    left = set(futures)
    while left:
        done, left = futures_of.wait(left, timeout=AWAKE_S, return_when=futures_of.FIRST_EXCEPTION)
        for future in done:
            future.result()


def stop_all() -> None:
    """Let every program that ``run`` waits for be ended, and none be started any more in this process."""
    _stopping.set()


def pause(seconds: float) -> None:
    """Sleep, but not beyond ``stop_all``. Raises StoppedError."""
    if _stopping.wait(seconds):
        raise StoppedError


def refuse_if_stopping() -> None:
    if _stopping.is_set():
        raise StoppedError


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return


def _text(file: Any) -> str:
    file.seek(0)
    return str(file.read().decode("utf-8", errors="replace"))

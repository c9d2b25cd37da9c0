"""Peers run as programs of their own: what they are told, what they say, what they cost."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.usage import peak_mib
from benchmarks.worker import SubjectFailedError, last_words
from local import paths
from local.instance import write_private

LOOK_S = 0.05


@dataclass(frozen=True)
class Ran:
    """What a program cost (``wall_s`` and ``cpu_s`` without start-up) and all that it said."""

    wall_s: float
    cpu_s: float
    startup_cpu_s: float
    peak_rss_mib: float
    said: Mapping[str, Any]


def run(python: Path, module: str, plan: Mapping[str, Any], folder: Path, *, limit_s: float, arguments: Sequence[str] = ()) -> Ran:
    """``python -m module PLAN-FILE arguments``, to its end; ended by force at *limit_s* or where we are stopped.

    Raises SubjectFailedError where it fails, takes too long or does not say that it was ready.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"plan-{secrets.token_hex(3)}.json"
    write_private(file, json.dumps(dict(plan)))
    name = module.rpartition(".")[2]
    spoken, output = folder / f"{name}.out", folder / f"{name}.log"
    with spoken.open("wb") as out, output.open("wb") as errors:
        process = subprocess.Popen([str(python), "-m", module, str(file), *arguments], cwd=paths.REPOSITORY, stdout=out, stderr=errors)
    usage, peak_rss_mib = _wait(process, limit_s)
    said: dict[str, Any] = {}
    for line in spoken.read_text(encoding="utf-8").splitlines():
        if line.startswith("{"):
            said |= json.loads(line)
    if usage is None or process.returncode != 0 or "done_at" not in said:
        raise SubjectFailedError(f"{module} ended with {process.returncode} (limit {limit_s:.0f} s): {last_words(output)}")
    startup = float(said["startup_cpu_s"])
    cpu = usage.ru_utime + usage.ru_stime - startup
    return Ran(said["done_at"] - said["ready_at"], cpu, startup, peak_rss_mib, said)


def _wait(process: subprocess.Popen[bytes], limit_s: float) -> tuple[Any, float]:
    """The kernel's account of the ended process (None where it had to be killed) and the peak of its resident memory, in MiB.

    The account's own ``ru_maxrss`` begins with the memory of the process that forked it, which is ours.
    """
    until, peak = time.monotonic() + limit_s, 0.0
    try:
        while time.monotonic() < until:
            peak = max(peak, peak_mib(process.pid))
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                process.returncode = os.waitstatus_to_exitcode(status)
                return usage, peak
            time.sleep(LOOK_S)
        return None, peak
    finally:
        if process.returncode is None:
            process.kill()
            process.wait(10)

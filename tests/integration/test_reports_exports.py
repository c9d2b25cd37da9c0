"""The process that makes exports."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

from tests.support.waiting import eventually

SERVICE = """
import os, time
from reports_api.exports import _opened
workshop = _opened()
print(workshop.submit(os.getpid).result(), flush=True)
time.sleep(600)
"""


def runs(pid: int) -> bool:
    """Whether the process is there and is more than a name that nobody has asked after."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def killed_service() -> int:
    """Kill a service that has made an export; the process that made it."""
    with subprocess.Popen([sys.executable, "-c", SERVICE], stdout=subprocess.PIPE, text=True) as service:
        assert service.stdout is not None
        maker = int(service.stdout.readline())
        assert runs(maker)
        service.kill()
    return maker


async def test_the_process_that_makes_exports_ends_with_its_service_however_that_ends() -> None:
    maker = await asyncio.to_thread(killed_service)
    await eventually(lambda: not runs(maker))

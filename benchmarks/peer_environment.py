"""The environment of the peers that pin other versions than the project: ``.venv-peers``, exactly ``locks/peers.txt``, made on first use."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from benchmarks.servers import progress
from local import bootstrap, paths

VENV = paths.REPOSITORY / ".venv-peers"
LOCK = bootstrap.LOCKS / "peers.txt"
COMMAND_LIMIT_S = 600


class NoPeersError(Exception):
    """The environment could not be made; the message says why."""


def python() -> Path:
    """Its interpreter. Does nothing where the lock is the installed one. Raises NoPeersError."""
    wanted = hashlib.sha256(LOCK.read_bytes() + sys.version.encode()).hexdigest()
    stamp = VENV / ".installed"
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
        progress("installing the peers")
        uv = str(bootstrap.uv())
        _run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(VENV)])
        _run([uv, "--quiet", "pip", "sync", "--python", str(VENV / "bin" / "python"), "--require-hashes", str(LOCK)])
        stamp.write_text(wanted, encoding="utf-8")
    return VENV / "bin" / "python"


def versions(*packages: str) -> dict[str, str]:
    """The versions of *packages* by the lock."""
    pinned = dict(line.split(" ")[0].split("==", 1) for line in LOCK.read_text(encoding="utf-8").splitlines() if "==" in line)
    return {package: pinned[package] for package in packages}


def _run(command: list[str]) -> None:
    environment = bootstrap.uv_variables()
    finished = subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_LIMIT_S, check=False, env=environment)
    if finished.returncode != 0:
        raise NoPeersError(f"`{' '.join(command)}` ended with {finished.returncode}: {finished.stderr.strip()[-600:]}")

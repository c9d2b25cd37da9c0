"""Programs that ours starts, and how they are ended."""

from __future__ import annotations

import subprocess


def end(process: subprocess.Popen[bytes], limit_s: float) -> None:
    """Ask *process* to end (SIGTERM), force it (SIGKILL) where it has not ended in *limit_s*; returns when it has. Idempotent."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(limit_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(limit_s)

"""The logs of the servers that a failed run leaves behind: instances are deleted at its end, and with them what would tell why."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from local import paths
from local.instance import private_folder

FOLDER = paths.REPOSITORY / "test-results" / "logs"
MOST_RUNS = 5
"""So many failed runs are kept, the newest."""
MOST_BYTES = 1_000_000
"""Of each log, its end. Logs that were rotated away are left out."""


@dataclass
class Run:
    """What this process's run of tests has come to. ``kept`` are the folders with its logs, one for each instance."""

    failed: bool = False
    kept: list[Path] = field(default_factory=list)

    def keep(self, logs: Path) -> None:
        """Copy the ends of all *logs*, if anything has failed. Call before their instance is deleted; its servers may have stopped."""
        if not self.failed:
            return
        if not self.kept:
            forget_all_but(FOLDER, MOST_RUNS - 1)
        place = private_folder(FOLDER / f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{os.getpid()}" if not self.kept else self.kept[0].parent)
        into = private_folder(place / str(len(self.kept) + 1))
        for log in sorted(logs.iterdir()):
            if log.is_file() and not log.suffix.removeprefix(".").isdigit() and log.stat().st_size:
                (into / log.name).write_bytes(end_of(log, MOST_BYTES))
        self.kept.append(into)

    def told(self) -> str:
        """Where they are, with the names of the logs; empty where nothing was kept."""
        lines = [f"  {place}: {', '.join(file.name for file in sorted(place.iterdir()))}" for place in self.kept]
        return "\n".join(["the logs of this failed run's servers (the end of each):", *lines]) if lines else ""


RUN = Run()


def end_of(log: Path, most: int) -> bytes:
    """The last *most* bytes of *log*, from the beginning of a line on; a first line says what is left out."""
    with log.open("rb") as stream:
        left_out = max(0, log.stat().st_size - most)
        stream.seek(left_out)
        text = stream.read(most)
    if not left_out:
        return text
    return f"[the first {left_out} bytes are left out]\n".encode() + text.partition(b"\n")[2]


def forget_all_but(folder: Path, newest: int) -> None:
    """Delete all runs in *folder* but the *newest*; their names begin with their time."""
    runs = sorted(folder.iterdir()) if folder.is_dir() else []
    for run in runs[: len(runs) - newest]:
        shutil.rmtree(run, ignore_errors=True)

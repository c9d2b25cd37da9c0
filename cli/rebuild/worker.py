"""The rebuild's own worker: one processor that writes the new generation, as long as the command runs."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from cli.rebuild.progress import RebuildError
from service_kit import processes

STOP_LIMIT_S = 40.0
START_LIMIT_S = 60.0
SAID = 1500


class OwnWorker:
    """``python -m stream_processor`` for one generation; its log goes to a file."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self._log = log

    def check(self) -> None:
        """Raises RebuildError with its last words where it has ended."""
        code = self._process.poll()
        if code is not None:
            raise RebuildError(f"the new generation's worker ended with {code}: {self._log.read_text('utf-8', 'replace').strip()[-SAID:]}")

    def stop(self) -> None:
        processes.end(self._process, STOP_LIMIT_S)


@contextmanager
def own_worker(variables: Mapping[str, str], generation: int) -> Iterator[OwnWorker]:
    """A worker with the processor's *variables*, a port and a folder of its own; stopped at the end of the block."""
    with tempfile.TemporaryDirectory(prefix="bionicpro-rebuild-") as folder:
        log = Path(folder) / "worker.log"
        environment = {
            **os.environ,
            **variables,
            "BIONICPRO_PROCESSOR__GENERATION": str(generation),
            "BIONICPRO_PROCESSOR__PORT": str(_free_port()),
            "BIONICPRO_PROCESSOR__DATA_DIR": folder,
        }
        # A static member would keep its partitions for a while after it has ended.
        environment.pop("BIONICPRO_PROCESSOR__INSTANCE_ID", None)
        with log.open("wb") as output:
            command = [sys.executable, "-m", "cli.rebuild.run_until_parent_ends", "stream_processor"]
            worker = OwnWorker(subprocess.Popen(command, env=environment, stdout=output, stderr=output), log)
        try:
            yield worker
        finally:
            worker.stop()


def start_workers(command: Sequence[str], say: Callable[[str], None]) -> None:
    """Run *command*, which starts workers that stay down; none: nothing to do. A failure is said, and no more: somebody may start them by hand."""
    if not command:
        return
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=START_LIMIT_S, stdin=subprocess.DEVNULL)
    except subprocess.CalledProcessError as error:
        say(f"the command that starts workers ended with {error.returncode}: {str(error.stderr).strip()[-SAID:]}")
    except (OSError, subprocess.TimeoutExpired) as error:
        say(f"the command that starts workers failed: {error}")


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])

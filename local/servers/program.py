"""What the supervisor is told of a program."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from local.instance import Instance

LAUNCH = Path(__file__).resolve().parent.parent / "launch.py"


@dataclass(frozen=True)
class Program:
    """``command`` is run in ``directory`` as ``user`` (None: as the supervisor's own). Stops go from the highest ``priority`` down."""

    name: str
    command: tuple[str, ...]
    directory: Path
    user: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_signal: str = "TERM"
    stop_wait_s: int = 20
    priority: int = 100


def launched(
    command: tuple[str, ...], *, wait: tuple[str, ...] = (), env_file: Path | None = None, deadline_s: int = 120
) -> tuple[str, ...]:
    """*command* behind launch.py: started once all of *wait*, which the same supervisor started, answer; with the variables of *env_file*."""
    options = [part for target in wait for part in ("--wait", target)] + ["--siblings"]
    if env_file is not None:
        options += ["--env-file", str(env_file)]
    return (sys.executable, str(LAUNCH), *options, "--deadline", str(deadline_s), "--", *command)


def java(instance: Instance) -> tuple[str, str]:
    """The Java that ``$JAVA_HOME`` names, else the one on the path, with the instance's folder for temporary files.

    In a shared one Keycloak makes a folder of a fixed name: whoever starts it first on a machine shuts everybody else out.
    """
    home = os.environ.get("JAVA_HOME")
    return str(Path(home) / "bin" / "java") if home else "java", f"-Djava.io.tmpdir={instance.temporary}"

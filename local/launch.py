"""Start one program of the supervisor: its environment from a file, its start put off until what it needs answers.

``launch.py [--env-file FILE] [--wait HOST:PORT|URL]... [--siblings] [--deadline SECONDS] -- COMMAND...``; replaces itself by COMMAND.
With ``--siblings`` only what the same supervisor started counts as an answer: COMMAND will send it secrets.
Ends with code 75 (try again) when the deadline passes; the supervisor then starts it anew. Standard library only.
"""

from __future__ import annotations

import argparse
import http.client
import os
import socket
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from service_kit import environment_files, listeners

EXIT_TRY_AGAIN = 75  # EX_TEMPFAIL of sysexits.h
PAUSE_S = 0.2
# What runs here is never behind a proxy, whatever the environment says.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def answers(target: str, timeout_s: float = 2.0) -> bool:
    """Whether *target* answers: a URL with 2xx, ``host:port`` with a connection."""
    try:
        if target.startswith("http://"):
            with DIRECT.open(target, timeout=timeout_s):
                return True
        host, _, port = target.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=timeout_s):
            return True
    except (OSError, http.client.HTTPException):  # nobody, or somebody who speaks something else
        return False


def wait_for(targets: list[str], deadline_s: float, proven: Callable[[str], bool] = lambda _target: True) -> str | None:
    """None once all *targets* are *proven* to be who is meant and answered; the first that did not by the deadline otherwise."""
    until = time.monotonic() + deadline_s
    for target in targets:
        while not (proven(target) and answers(target)):
            if time.monotonic() > until:
                return target
            time.sleep(PAUSE_S)
    return None


def main(arguments: list[str]) -> int:  # noqa: RET503  exec does not return
    parser = argparse.ArgumentParser(prog="launch")
    parser.add_argument("--env-file", type=Path)
    parser.add_argument("--wait", action="append", default=[])
    parser.add_argument("--siblings", action="store_true")
    parser.add_argument("--deadline", type=float, default=120.0)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args(arguments)
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    proven = _is_sibling if options.siblings else lambda _target: True
    silent = wait_for(options.wait, options.deadline, proven)
    if silent is not None:
        print(f"launch: {_silence(silent, proven)} within {options.deadline:.0f} s; ending, to be started again", file=sys.stderr)
        return EXIT_TRY_AGAIN
    environment = dict(os.environ)
    if options.env_file is not None:
        environment |= environment_files.read(options.env_file)
    os.execvpe(command[0], command, environment)  # noqa: S606  an argument list, no shell


def _is_sibling(target: str) -> bool:
    return listeners.belongs(listeners.port_of(target), os.getppid())


def _silence(target: str, proven: Callable[[str], bool]) -> str:
    if answers(target) and not proven(target):
        return f"at {target} a program answers that this supervisor did not start; what is meant did not come"
    return f"{target} did not answer"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

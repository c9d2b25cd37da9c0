"""Start one program of the supervisor: its environment from a file, its start put off until what it needs answers.

``launch.py [--env-file FILE] [--wait HOST:PORT|URL]... [--deadline SECONDS] -- COMMAND...``; replaces itself by COMMAND.
Ends with code 75 (try again) when the deadline passes; the supervisor then starts it anew. Standard library only.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

EXIT_TRY_AGAIN = 75  # EX_TEMPFAIL of sysexits.h
PAUSE_S = 0.2


def parse_environment(text: str) -> dict[str, str]:
    """``NAME=value`` lines; empty lines and ``#`` comments are left out. Values are taken as they stand."""
    lines = (line for line in text.splitlines() if line and not line.startswith("#"))
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def answers(target: str, timeout_s: float = 2.0) -> bool:
    """Whether *target* answers: a URL with 2xx, ``host:port`` with a connection."""
    try:
        if target.startswith("http://"):
            with urllib.request.urlopen(target, timeout=timeout_s):  # noqa: S310  the scheme was just checked
                return True
        host, _, port = target.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=timeout_s):
            return True
    except (OSError, urllib.error.URLError):
        return False


def wait_for(targets: list[str], deadline_s: float) -> str | None:
    """None once all *targets* answered; the first that did not by the deadline otherwise."""
    until = time.monotonic() + deadline_s
    for target in targets:
        while not answers(target):
            if time.monotonic() > until:
                return target
            time.sleep(PAUSE_S)
    return None


def main(arguments: list[str]) -> int:  # noqa: RET503  exec does not return
    parser = argparse.ArgumentParser(prog="launch")
    parser.add_argument("--env-file", type=Path)
    parser.add_argument("--wait", action="append", default=[])
    parser.add_argument("--deadline", type=float, default=120.0)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args(arguments)
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    silent = wait_for(options.wait, options.deadline)
    if silent is not None:
        print(f"launch: {silent} did not answer within {options.deadline:.0f} s; ending, to be started again", file=sys.stderr)
        return EXIT_TRY_AGAIN
    environment = dict(os.environ)
    if options.env_file is not None:
        environment |= parse_environment(options.env_file.read_text(encoding="utf-8"))
    os.execvpe(command[0], command, environment)  # noqa: S606  an argument list, no shell


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""``python -m tests``: every test, as two runs of pytest side by side. Arguments are pytest's and go to both.

One run has the tests that share this run's servers and those that need none, the other those that start servers of their own: neither waits for the other's.
On two cores both are busy nearly all the while, so that the whole takes little longer than the longer of the two.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from xml.etree import ElementTree

import pytest

REPOSITORY = Path(__file__).parents[1]
RESULTS = REPOSITORY / "test-results"
SHARES = ("own", "shared")
"""As ``--servers`` of tests/conftest.py names them."""
WIDTH = max(map(len, SHARES))


@dataclass(frozen=True)
class Outcome:
    """How one run of pytest ended: its exit code and, of its tests, how many passed and which did not."""

    code: int
    passed: int
    failed: tuple[str, ...]


def begun(share: str, arguments: list[str]) -> subprocess.Popen[str]:
    options = [f"--servers={share}", f"--junitxml={report_of(share)}", "-o", f"cache_dir=.pytest_cache/{share}"]
    command = [sys.executable, "-u", "-m", "pytest", *options, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=REPOSITORY)


def report_of(share: str) -> Path:
    return RESULTS / f"junit-{share}.xml"


def told(share: str, lines: IO[str]) -> None:
    """Print *lines* as they come, each behind the name of its run."""
    for line in lines:
        print(f"{share:{WIDTH}} | {line}", end="", flush=True)


def outcome(code: int, report: Path) -> Outcome:
    """*code* and what *report*, pytest's in JUnit's form, says; nothing passed where there is none."""
    if not report.exists():
        return Outcome(code, 0, ())
    sound: dict[str, bool] = {}
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        sound[name] = sound.get(name, True) and case.find("failure") is None and case.find("error") is None
    return Outcome(code, sum(sound.values()), tuple(name for name, passed in sound.items() if not passed))


def exit_code(codes: list[int]) -> int:
    """0 where both runs passed or had nothing to do, though not both had nothing to do; else the first that is not."""
    if all(code == pytest.ExitCode.NO_TESTS_COLLECTED for code in codes):
        return int(pytest.ExitCode.NO_TESTS_COLLECTED)
    return next((code for code in codes if code not in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}), 0)


def main(arguments: list[str]) -> int:
    for share in SHARES:
        report_of(share).unlink(missing_ok=True)
    runs = {share: begun(share, arguments) for share in SHARES}
    tellers = [threading.Thread(target=told, args=(share, run.stdout)) for share, run in runs.items()]
    for teller in tellers:
        teller.start()
    try:
        for teller in tellers:
            teller.join()
        outcomes = [outcome(run.wait(), report_of(share)) for share, run in runs.items()]
    except KeyboardInterrupt:  # both have it too, and stop their servers
        outcomes = [outcome(run.wait(), report_of(share)) for share, run in runs.items()]
    failed = [test for found in outcomes for test in found.failed]
    if failed:
        print("failed:", json.dumps(failed, indent=2, ensure_ascii=False), sep="\n")
    print(f"{sum(found.passed for found in outcomes)} passed, {len(failed)} failed", flush=True)
    return exit_code([found.code for found in outcomes])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

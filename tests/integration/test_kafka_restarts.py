"""A broker that goes away and comes back, under those who ask it about groups: librdkafka asked the one that had gone for ever, or ended the process by an assertion."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import group_asker
from tests.support.group_asker import ANSWERED, UNANSWERED
from tests.support.system import System
from tests.support.waiting import PATIENCE_S

GROUP = "bionicpro-processor"  # one that the operator may ask about
REPOSITORY = Path(__file__).parents[2]


class Asker:
    """The process of ``group_asker``, and what it says."""

    def __init__(self, variables: dict[str, str], group: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", group_asker.__name__, group], cwd=REPOSITORY, env=os.environ | variables,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line.strip())
        self._lines.put(f"ended with {self.process.wait()}")

    def wait_for(self, what: str) -> None:
        """Until it says *what*. A group's coordinator that is not ready may be said to be away in between."""
        said = ""
        while not said.startswith(what):
            said = self._lines.get(timeout=PATIENCE_S)
            assert said.startswith((ANSWERED, UNANSWERED)), said

    def end(self) -> int:
        """Returns its exit code."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(PATIENCE_S)

    def close(self) -> None:
        self.process.kill()
        with self.process:
            pass


@pytest.fixture
def asker(expendable: System) -> Iterator[Asker]:
    found = Asker(expendable.variables("operator"), GROUP)
    yield found
    found.close()


def test_who_asks_about_groups_is_answered_again_once_the_broker_is_back(expendable: System, asker: Asker) -> None:
    asker.wait_for(ANSWERED)
    expendable.backend.stop("kafka")
    try:
        asker.wait_for(UNANSWERED)
    finally:
        expendable.backend.start("kafka")
    asker.wait_for(ANSWERED)
    assert asker.end() == 0

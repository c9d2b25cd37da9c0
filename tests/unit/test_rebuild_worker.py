"""The command that starts workers which stay down: what it says when it fails is told, and nothing else comes of it."""

from __future__ import annotations

import sys
from pathlib import Path

from cli.rebuild.worker import start_workers


def test_it_is_run(tmp_path: Path) -> None:
    said: list[str] = []
    started = tmp_path / "started"
    start_workers([sys.executable, "-c", f"open({str(started)!r}, 'w')"], said.append)
    assert started.exists()
    assert said == []


def test_without_one_nothing_is_done() -> None:
    start_workers([], lambda line: (_ for _ in ()).throw(AssertionError(line)))


def test_a_failure_is_told(tmp_path: Path) -> None:
    said: list[str] = []
    start_workers([sys.executable, "-c", "raise SystemExit('nothing runs here')"], said.append)
    start_workers([str(tmp_path / "absent")], said.append)
    assert said[0] == "the command that starts workers ended with 1: nothing runs here"
    assert "No such file" in said[1]

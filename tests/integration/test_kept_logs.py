"""What is left of a run's servers when it fails."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from local import paths
from tests.support import kept_logs
from tests.support.waiting import PATIENCE_S

# The real hooks and fixtures, told that their tests stand here.
CONFTEST = """
from pathlib import Path

import tests.conftest
from tests.conftest import *
from tests.support import kept_logs

tests.conftest.HERE = Path(__file__).parent
kept_logs.FOLDER = Path(__file__).parent / "kept"
"""
TEST = """
def test_it(redis):
    assert redis.port == 0
"""


def test_a_failed_run_keeps_its_servers_logs_and_says_where_at_its_end(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "unit").mkdir()
    (tmp_path / "unit" / "test_it.py").write_text(TEST)
    configuration = ("-c", str(paths.REPOSITORY / "pyproject.toml"), "--rootdir", str(tmp_path), "-p", "no:cacheprovider")
    finished = subprocess.run(
        [sys.executable, "-m", "pytest", *configuration, str(tmp_path / "unit")],
        cwd=paths.REPOSITORY,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert finished.returncode == 1, finished.stdout + finished.stderr
    (kept,) = (tmp_path / "kept").glob("*/*/redis.log")
    assert "Ready to accept connections" in kept.read_text(encoding="utf-8")
    last = finished.stdout.strip().splitlines()[-1].strip()
    assert last.startswith(f"{kept.parent}: ")
    assert "redis.log" in last


def test_a_run_without_a_failure_keeps_nothing(tmp_path: Path) -> None:
    (tmp_path / "redis.log").write_text("Ready")
    run = kept_logs.Run()
    run.keep(tmp_path)
    assert (run.kept, run.told()) == ([], "")


def test_of_a_long_log_the_end_is_kept_and_what_is_left_out_is_said(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_text("".join(f"line {number}\n" for number in range(100)))
    end = kept_logs.end_of(log, 20).decode()
    assert end.splitlines()[1:] == ["line 98", "line 99"]
    assert end.splitlines()[0] == f"[the first {log.stat().st_size - 20} bytes are left out]"
    assert kept_logs.end_of(log, 10_000).decode() == log.read_text()


def test_the_oldest_kept_runs_go(tmp_path: Path) -> None:
    for run in ("20260101T000000-9", "20260102T000000-1", "20260103T000000-5"):
        (tmp_path / run).mkdir()
    kept_logs.forget_all_but(tmp_path, 2)
    kept_logs.forget_all_but(tmp_path / "absent", 2)
    assert sorted(run.name for run in tmp_path.iterdir()) == ["20260102T000000-1", "20260103T000000-5"]

"""``docs/adding-a-metric.md`` is followed: in a copy with its edits, the processor and the oracle agree on the new metric, and everybody shows it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.support.endpoints import PostgresEndpoint
from tests.support.waiting import PATIENCE_S
from tests.support.worked_example import PAGE, copy_with_the_metric, edits


def test_the_pages_metric_is_the_same_in_processor_and_oracle_and_shown(tmp_path: Path, sources: PostgresEndpoint) -> None:
    copy = copy_with_the_metric(tmp_path / "copy")
    conninfo = {name: sources.conninfo(name) for name in ("crm", "telemetry")}
    environment = os.environ | {"PYTHONPATH": str(copy), "BIONICPRO_TEST_CONNINFO": json.dumps(conninfo, default=str)}
    command = [sys.executable, "-m", "tests.support.worked_example_check"]
    ended = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert ended.returncode == 0, ended.stderr[-2000:]
    found = json.loads(ended.stdout)
    numbers = [4, 28, 4, 5, 1_003]  # the row that is out of range is invalid
    assert (found.pop("fold"), found.pop("oracle")) == (numbers, numbers)
    assert found == {"in tables": 2, "raw": 2, "compared": True, "exported": True, "answered": 57}


def test_the_page_names_as_many_files_as_it_edits() -> None:
    page = PAGE.read_text("utf-8")
    files = {file for file, _ in edits(page)}
    assert f"These are {len(files)} files" in page

"""The benchmarks cannot rot: they run, at a small size, and say nothing about speed that they have not checked."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.waiting import PATIENCE_S

REPOSITORY = Path(__file__).parents[2]
EVENTS = 20_000


def bench(*arguments: str) -> tuple[int, list[dict[str, object]], str]:
    """Exit code, the JSON lines, and everything said."""
    command = [sys.executable, "-m", "benchmarks", *arguments]
    finished = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    lines = [json.loads(line) for line in finished.stdout.splitlines() if line.startswith("{")]
    return finished.returncode, lines, finished.stdout + finished.stderr


def test_the_processor_and_the_limit_are_measured_on_one_log() -> None:
    code, lines, said = bench("processor", "--events", str(EVENTS), "--subjects", "bionicpro,confluent-decode")
    assert code == 0, said
    assert [(line["bench"], line["subject"], line["events"]) for line in lines] == [
        ("processor", "bionicpro", EVENTS),
        ("processor", "confluent-decode", EVENTS),
    ]
    for line in lines:
        assert {"cpu_s", "wall_s", "events_per_cpu_s", "peak_rss_mib", "versions"} <= line.keys()
    assert "store_cpu_s" in lines[0]


@pytest.mark.parametrize("argument", ["--help", "nonsense"])
def test_the_command_names_its_benchmarks(argument: str) -> None:
    code, _, said = bench(argument)
    assert code == (0 if argument == "--help" else 2)
    assert "processor" in said

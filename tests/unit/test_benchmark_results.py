"""What a benchmark says of itself: fields, both sides' CPU, and what the kernel counted."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import numpy as np
import pytest

from benchmarks.log import Filled
from benchmarks.results import Failure, Result, table
from benchmarks.usage import usage_of

BUSY = "import subprocess, sys, time; end = time.process_time() + 0.3\nwhile time.process_time() < end: pass\nsys.stdin.read()"
CHILD = f"import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', {BUSY!r}], stdin=sys.stdin); child.wait()"


def test_a_line_holds_what_was_measured_and_nothing_else() -> None:
    line = json.loads(Result("b", "s", 1000, 2.0, 0.5, store_cpu_s=1.5, percentiles_ms={"p50": 1.0}, figures={"x": 3}).line())
    assert line["events_per_cpu_s"] == 2000
    assert line["events_per_cpu_s_with_store"] == 500
    assert line["percentiles_ms"] == {"p50": 1.0}
    assert line["x"] == 3
    assert "peak_rss_mib" not in line


def test_without_a_processor_of_its_own_only_the_store_counts() -> None:
    line = json.loads(Result("b", "clickhouse", 1000, 2.0, store_cpu_s=2.0).line())
    assert "events_per_cpu_s" not in line
    assert line["events_per_cpu_s_with_store"] == 500


def test_a_table_has_a_row_a_subject_and_no_column_that_nobody_filled() -> None:
    told = table([Result("b", "one", 10, 1.0, 2.0), Result("b", "two", 10, 1.0, percentiles_ms={"p99": 7.0})]).splitlines()
    assert told[0] == "b"
    assert told[1].split() == ["subject", "events", "cpu_s", "wall_s", "events_per_cpu_s", "p99_ms"]
    assert told[2].split() == ["one", "10", "2.0", "1.0", "5.0", "–"]
    assert told[3].split() == ["two", "10", "–", "1.0", "–", "7.0"]


def test_a_failure_says_who_and_why() -> None:
    assert json.loads(Failure("b", "s", "why").line()) == {"bench": "b", "subject": "s", "failed": "why"}


def test_the_cpu_of_a_process_is_that_of_its_living_children_too() -> None:
    with subprocess.Popen([sys.executable, "-c", CHILD], stdin=subprocess.PIPE) as process:
        until = time.monotonic() + 60
        while usage_of(process.pid).cpu_s < 0.3:
            assert time.monotonic() < until
            time.sleep(0.05)
        assert usage_of(process.pid).peak_rss_mib > 1
        process.communicate()
    with pytest.raises(ProcessLookupError):
        usage_of(process.pid)


def test_a_reader_that_stopped_early_is_held_against_the_first_events_of_each_partition() -> None:
    filled = Filled(6, {0: 3, 1: 1}, {0: np.array([0, 2, 3, 5]), 1: np.array([1, 4])})
    assert sorted(filled.first_events({0: 2, 1: 1})) == [0, 1, 2]

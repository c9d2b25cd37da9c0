"""What `make test` makes of its two runs of pytest."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.__main__ import Outcome, exit_code, outcome

REPORT = """<testsuites><testsuite>
<testcase classname="tests.unit.test_a" name="test_one"/>
<testcase classname="tests.unit.test_a" name="test_two"><failure message="assert 1 == 2"/></testcase>
<testcase classname="tests.unit.test_a" name="test_three"><error message="no server"/></testcase>
<testcase classname="tests.unit.test_a" name="test_three"/>
</testsuite></testsuites>"""


def test_failures_and_errors_are_named_once_and_the_rest_has_passed(tmp_path: Path) -> None:
    report = tmp_path / "junit.xml"
    report.write_text(REPORT)
    assert outcome(1, report) == Outcome(1, 1, ("tests.unit.test_a::test_two", "tests.unit.test_a::test_three"))


def test_a_run_that_ended_without_a_report_has_passed_nothing(tmp_path: Path) -> None:
    assert outcome(3, tmp_path / "absent.xml") == Outcome(3, 0, ())


@pytest.mark.parametrize(
    ("codes", "told"), [([0, 0], 0), ([0, 5], 0), ([5, 0], 0), ([5, 5], 5), ([0, 1], 1), ([3, 1], 3), ([5, 2], 2), ([-9, 0], -9)]
)
def test_the_exit_code_is_that_of_the_run_that_did_not_pass(codes: list[int], told: int) -> None:
    assert exit_code(codes) == told

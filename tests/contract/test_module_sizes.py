"""Modules are small enough to be read at once (CONTRIBUTING, style)."""

from __future__ import annotations

from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
MOST_LINES, MOST_TEST_LINES = 400, 450
FOLDERS = ("benchmarks", "bff", "cli", "clickhouse", "connectors", "eraser", "local", "reconciliation", "reports_api", "schemas", "service_kit",
           "simulator", "stream_processor", "tests")  # fmt: skip


@pytest.mark.parametrize("folder", FOLDERS)
def test_modules_have_few_lines(folder: str) -> None:
    long: dict[str, int] = {}
    for file in sorted((REPOSITORY / folder).rglob("*.py")):
        name, lines = str(file.relative_to(REPOSITORY)), len(file.read_text(encoding="utf-8").splitlines())
        if lines > (MOST_TEST_LINES if folder == "tests" else MOST_LINES):
            long[name] = lines
    assert long == {}

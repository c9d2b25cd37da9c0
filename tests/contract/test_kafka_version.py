"""The broker is none of those that commit without markers (docs/adr/0047-kafka-4-2.md)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PINS = {
    "local/maven/kafka.xml": r"<kafka\.version>([\d.]+)<",
    "deploy/compose.yml": r"image: apache/kafka:([\d.]+)",
    "deploy/images/standins/names.toml": r'"apache/kafka:([\d.]+)"',
}
FIRST_FAULTY = (4, 3)

pytestmark = pytest.mark.contract


@pytest.mark.parametrize("file", PINS)
def test_the_broker_is_older_than_the_fault(file: str) -> None:
    versions = re.findall(PINS[file], (REPOSITORY / file).read_text(encoding="utf-8"))
    assert versions
    assert [version for version in versions if tuple(map(int, version.split(".")[:2])) >= FIRST_FAULTY] == []
